#pragma once
// One thread that keeps the store tidy: stale uploads, expired conversions, deletions, blobs that
// dead attempts left, old tombstones; and the gauges that are read off the table. Any number of
// gateways may run one: each row is taken by a conditional update first.

#include "base/error.h"
#include "config/config.h"

struct gateway_janitor;

struct gateway_janitor *gateway_janitor_start(const struct config *config, struct error *err);
void gateway_janitor_stop(struct gateway_janitor *janitor); // takes NULL
