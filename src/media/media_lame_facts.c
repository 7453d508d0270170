#include "media/media_lame_facts.h"

#include "base/text.h"

struct mp3_lame_facts media_lame_facts(lame_t lame)
{
    enum {
        SAFE_JOINT = 2,    // a bit of LAME's nspsytune
        COARSE_KBPS = 160, // scale factors are coarse up to it; LAME tells nobody but its header
    };
    bool is_constant = lame_get_VBR(lame) == vbr_off;
    bool is_joint = lame_get_mode(lame) == JOINT_STEREO;
    int v = lame_get_VBR_q(lame);
    struct mp3_lame_facts facts = {
        .is_constant = is_constant,
        .bitrate_kbps = is_constant ? lame_get_brate(lame) : lame_get_VBR_min_bitrate_kbps(lame),
        .quality = 100 - 10 * v - lame_get_quality(lame),
        .lowpass_hz = lame_get_lowpassfreq(lame),
        .ath_type = lame_get_ATHtype(lame),
        .noise_shaping = is_constant && lame_get_brate(lame) <= COARSE_KBPS ? 2 : 1,
        .has_safe_joint = is_joint && (lame_get_exp_nspsytune(lame) & SAFE_JOINT) != 0,
        .preset = is_constant ? lame_get_brate(lame) : 500 - 10 * v,
        .delay = lame_get_encoder_delay(lame),
    };
    text_copy(facts.version, sizeof facts.version, get_lame_very_short_version());
    return facts;
}
