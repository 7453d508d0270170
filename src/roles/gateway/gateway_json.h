#pragma once
// A conversion as users see it.

#include "jobs/jobs.h"

#include <jansson.h>

// A new reference; the shape stands in docs/api.md and in the page's types.
json_t *gateway_conversion_json(const struct conversion *conversion);

// RFC 3339, or JSON null for 0.
json_t *gateway_time_json(int64_t unix_ms);
