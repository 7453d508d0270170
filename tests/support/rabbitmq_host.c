#include "rabbitmq_host.h"

#include "base/id.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

static void manage(const char *method, const char *path, const char *body)
{
    char url[400];
    snprintf(url, sizeof url, "%s/api/%s", getenv("UNREEL_TEST_RABBITMQ_MANAGEMENT"), path);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    if (body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (result == CURLE_OK && status / 100 == 2)
        return;
    fprintf(stderr, "RabbitMQ's management: %s %s: %s, status %ld\n", method, path,
            curl_easy_strerror(result), status);
    exit(1);
}

bool rabbitmq_host_create(struct rabbitmq_host *out)
{
    const char *url = getenv("UNREEL_TEST_RABBITMQ");
    if (url == NULL || getenv("UNREEL_TEST_RABBITMQ_MANAGEMENT") == NULL)
        return false;
    snprintf(out->name, sizeof out->name, "test-%016llx", (unsigned long long)id_random_u64());
    snprintf(out->url, sizeof out->url, "%s/%s", url, out->name);
    char path[80];
    snprintf(path, sizeof path, "vhosts/%s", out->name);
    manage("PUT", path, "{}");
    snprintf(path, sizeof path, "permissions/%s/guest", out->name);
    manage("PUT", path, "{\"configure\":\".*\",\"write\":\".*\",\"read\":\".*\"}");
    return true;
}

void rabbitmq_host_remove(struct rabbitmq_host *host)
{
    char path[80];
    snprintf(path, sizeof path, "vhosts/%s", host->name);
    manage("DELETE", path, NULL);
}
