#include "roles/converter/converter_confinement.h"

#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "roles/converter/converter_child.h"

#include <stdio.h>

enum { SELF_TEST_MS = 60000, SELF_TEST_BYTES = 1024 * 1024 };

static bool run(struct converter_nursery *nursery, const char *scratch_directory,
                bool is_best_effort, struct converter_child_verdict *out, struct error *err)
{
    const char *const arguments[] = {"unreel-media", "self-test",
                                     is_best_effort ? "--best-effort" : NULL, NULL};
    SCOPED_FD int source_fd = file_open_scratch(scratch_directory, err);
    SCOPED_FD int output_fd = source_fd < 0 ? -1 : file_open_scratch(scratch_directory, err);
    if (output_fd < 0)
        return false;
    converter_child_run(
        &(struct converter_child){.nursery = nursery,
                                  .arguments = arguments,
                                  .source_fd = source_fd,
                                  .output_fd = output_fd,
                                  .cancel_fd = -1,
                                  .timeout_ms = SELF_TEST_MS,
                                  .limits = {.processor_s = SELF_TEST_MS / 1000,
                                             .memory_bytes = confinement_memory_bytes(1),
                                             .output_bytes = SELF_TEST_BYTES}},
        out);
    return true;
}

static void publish(unsigned layers)
{
    for (unsigned i = 0; i < CONFINEMENT_LAYERS; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "layer=\"%s\"",
                 confinement_layer_name((enum confinement_layer)i));
        metrics_set("unreel_confinement_layers", labels, (layers & 1u << i) != 0);
    }
}

bool converter_confinement_check(struct converter_nursery *nursery, const char *scratch_directory,
                                 bool is_best_effort, char out_remark[CONVERTER_REMARK_SIZE],
                                 struct error *err)
{
    struct converter_child_verdict verdict;
    char text[CONFINEMENT_TEXT_SIZE];
    if (!run(nursery, scratch_directory, is_best_effort, &verdict, err))
        return false;
    bool is_confined = verdict.end == CHILD_DONE && confinement_is_enough(verdict.layers);
    // A filter that let something through is none.
    unsigned layers = is_confined ? verdict.layers : verdict.layers & ~(1u << CONFINEMENT_SECCOMP);
    if (!is_confined && !is_best_effort)
        return error_set(err, ERROR_INTERNAL,
                         "%.120s (confinement = best-effort would convert nevertheless)",
                         verdict.detail[0] != '\0' ? verdict.detail : "it is not confined");
    publish(layers);
    confinement_format(layers, text);
    snprintf(out_remark, CONVERTER_REMARK_SIZE, "confinement: %s%s", text,
             is_confined ? "" : " (not enough; best-effort)");
    if (is_confined)
        log_info("the media program is confined", LOG_TEXT("layers", text));
    else
        log_error(
            "the media program is not confined: whoever uploads a crafted file may reach what "
            "this process can",
            LOG_TEXT("layers", text), LOG_TEXT("reason", verdict.detail));
    return true;
}
