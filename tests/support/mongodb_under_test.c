#include "mongodb_under_test.h"

#include "base/id.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char url[600], empty_url[600];

bool mongodb_under_test_is_wanted(void)
{
    const char *wanted = getenv("UNREEL_TEST_BACKEND");
    return wanted != NULL && strcmp(wanted, "mongodb") == 0;
}

const char *mongodb_under_test_start(void)
{
    const char *server = getenv("UNREEL_TEST_MONGODB");
    const char *hosts = server == NULL ? NULL : strstr(server, "://");
    if (hosts == NULL) {
        printf("1..0 # SKIP UNREEL_TEST_MONGODB names no server\n");
        exit(0);
    }
    char id[ID_SIZE];
    id_new(id);
    size_t length = (size_t)(hosts - server) + 3 + strcspn(hosts + 3, "/");
    const char *options = server[length] == '\0' ? "" : server + length + 1;
    snprintf(url, sizeof url, "%.*s/unreel_test_%s%s", (int)length, server, id, options);
    snprintf(empty_url, sizeof empty_url, "%.*s/unreel_test_%s_empty%s", (int)length, server, id,
             options);
    return url;
}

const char *mongodb_under_test_empty_url(void)
{
    return empty_url;
}

void mongodb_under_test_drop(void)
{
    mongoc_client_t *client = mongoc_client_new(url);
    mongoc_database_t *database = mongoc_client_get_default_database(client);
    bson_error_t problem;
    if (!mongoc_database_drop(database, &problem))
        fprintf(stderr, "drop the database of the tests: %s\n", problem.message);
    mongoc_database_destroy(database);
    mongoc_client_destroy(client);
}
