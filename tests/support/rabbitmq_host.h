#pragma once
// A virtual host of its own on the RabbitMQ that UNREEL_TEST_RABBITMQ (amqp://USER:PASSWORD@HOST)
// and UNREEL_TEST_RABBITMQ_MANAGEMENT (http://USER:PASSWORD@HOST) name, as long as a suite runs.

#include <stdbool.h>

struct rabbitmq_host {
    char url[300]; // for queue_open
    char name[40];
};

// False: no server is named. Anything else that fails ends the program with a message.
bool rabbitmq_host_create(struct rabbitmq_host *out);
void rabbitmq_host_remove(struct rabbitmq_host *host);
