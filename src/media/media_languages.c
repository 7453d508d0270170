// The languages that have a code of two letters, by ISO 639-2 (Library of Congress).
#include "media/media_languages.h"

#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct language {
    const char terminology[4];   // ISO 639-2/T, which mdhd has
    const char bibliographic[4]; // ISO 639-2/B where it differs
    const char two_letters[3];   // ISO 639-1
    const char *name;
};

// clang-format off
static const struct language languages[] = {
    {"aar", "", "aa", "Afar"},
    {"abk", "", "ab", "Abkhazian"},
    {"afr", "", "af", "Afrikaans"},
    {"aka", "", "ak", "Akan"},
    {"amh", "", "am", "Amharic"},
    {"ara", "", "ar", "Arabic"},
    {"arg", "", "an", "Aragonese"},
    {"asm", "", "as", "Assamese"},
    {"ava", "", "av", "Avaric"},
    {"ave", "", "ae", "Avestan"},
    {"aym", "", "ay", "Aymara"},
    {"aze", "", "az", "Azerbaijani"},
    {"bak", "", "ba", "Bashkir"},
    {"bam", "", "bm", "Bambara"},
    {"bel", "", "be", "Belarusian"},
    {"ben", "", "bn", "Bengali"},
    {"bih", "", "bh", "Bihari languages"},
    {"bis", "", "bi", "Bislama"},
    {"bod", "tib", "bo", "Tibetan"},
    {"bos", "", "bs", "Bosnian"},
    {"bre", "", "br", "Breton"},
    {"bul", "", "bg", "Bulgarian"},
    {"cat", "", "ca", "Catalan"},
    {"ces", "cze", "cs", "Czech"},
    {"cha", "", "ch", "Chamorro"},
    {"che", "", "ce", "Chechen"},
    {"chu", "", "cu", "Church Slavic"},
    {"chv", "", "cv", "Chuvash"},
    {"cor", "", "kw", "Cornish"},
    {"cos", "", "co", "Corsican"},
    {"cre", "", "cr", "Cree"},
    {"cym", "wel", "cy", "Welsh"},
    {"dan", "", "da", "Danish"},
    {"deu", "ger", "de", "German"},
    {"div", "", "dv", "Divehi"},
    {"dzo", "", "dz", "Dzongkha"},
    {"ell", "gre", "el", "Greek"},
    {"eng", "", "en", "English"},
    {"epo", "", "eo", "Esperanto"},
    {"est", "", "et", "Estonian"},
    {"eus", "baq", "eu", "Basque"},
    {"ewe", "", "ee", "Ewe"},
    {"fao", "", "fo", "Faroese"},
    {"fas", "per", "fa", "Persian"},
    {"fij", "", "fj", "Fijian"},
    {"fin", "", "fi", "Finnish"},
    {"fra", "fre", "fr", "French"},
    {"fry", "", "fy", "Western Frisian"},
    {"ful", "", "ff", "Fulah"},
    {"gla", "", "gd", "Gaelic"},
    {"gle", "", "ga", "Irish"},
    {"glg", "", "gl", "Galician"},
    {"glv", "", "gv", "Manx"},
    {"grn", "", "gn", "Guarani"},
    {"guj", "", "gu", "Gujarati"},
    {"hat", "", "ht", "Haitian"},
    {"hau", "", "ha", "Hausa"},
    {"heb", "", "he", "Hebrew"},
    {"her", "", "hz", "Herero"},
    {"hin", "", "hi", "Hindi"},
    {"hmo", "", "ho", "Hiri Motu"},
    {"hrv", "", "hr", "Croatian"},
    {"hun", "", "hu", "Hungarian"},
    {"hye", "arm", "hy", "Armenian"},
    {"ibo", "", "ig", "Igbo"},
    {"ido", "", "io", "Ido"},
    {"iii", "", "ii", "Sichuan Yi"},
    {"iku", "", "iu", "Inuktitut"},
    {"ile", "", "ie", "Interlingue"},
    {"ina", "", "ia", "Interlingua"},
    {"ind", "", "id", "Indonesian"},
    {"ipk", "", "ik", "Inupiaq"},
    {"isl", "ice", "is", "Icelandic"},
    {"ita", "", "it", "Italian"},
    {"jav", "", "jv", "Javanese"},
    {"jpn", "", "ja", "Japanese"},
    {"kal", "", "kl", "Kalaallisut"},
    {"kan", "", "kn", "Kannada"},
    {"kas", "", "ks", "Kashmiri"},
    {"kat", "geo", "ka", "Georgian"},
    {"kau", "", "kr", "Kanuri"},
    {"kaz", "", "kk", "Kazakh"},
    {"khm", "", "km", "Central Khmer"},
    {"kik", "", "ki", "Kikuyu"},
    {"kin", "", "rw", "Kinyarwanda"},
    {"kir", "", "ky", "Kirghiz"},
    {"kom", "", "kv", "Komi"},
    {"kon", "", "kg", "Kongo"},
    {"kor", "", "ko", "Korean"},
    {"kua", "", "kj", "Kuanyama"},
    {"kur", "", "ku", "Kurdish"},
    {"lao", "", "lo", "Lao"},
    {"lat", "", "la", "Latin"},
    {"lav", "", "lv", "Latvian"},
    {"lim", "", "li", "Limburgan"},
    {"lin", "", "ln", "Lingala"},
    {"lit", "", "lt", "Lithuanian"},
    {"ltz", "", "lb", "Luxembourgish"},
    {"lub", "", "lu", "Luba-Katanga"},
    {"lug", "", "lg", "Ganda"},
    {"mah", "", "mh", "Marshallese"},
    {"mal", "", "ml", "Malayalam"},
    {"mar", "", "mr", "Marathi"},
    {"mkd", "mac", "mk", "Macedonian"},
    {"mlg", "", "mg", "Malagasy"},
    {"mlt", "", "mt", "Maltese"},
    {"mon", "", "mn", "Mongolian"},
    {"mri", "mao", "mi", "Maori"},
    {"msa", "may", "ms", "Malay"},
    {"mya", "bur", "my", "Burmese"},
    {"nau", "", "na", "Nauru"},
    {"nav", "", "nv", "Navajo"},
    {"nbl", "", "nr", "Ndebele"},
    {"nde", "", "nd", "Ndebele"},
    {"ndo", "", "ng", "Ndonga"},
    {"nep", "", "ne", "Nepali"},
    {"nld", "dut", "nl", "Dutch"},
    {"nno", "", "nn", "Norwegian Nynorsk"},
    {"nob", "", "nb", "Bokmål"},
    {"nor", "", "no", "Norwegian"},
    {"nya", "", "ny", "Chichewa"},
    {"oci", "", "oc", "Occitan"},
    {"oji", "", "oj", "Ojibwa"},
    {"ori", "", "or", "Oriya"},
    {"orm", "", "om", "Oromo"},
    {"oss", "", "os", "Ossetian"},
    {"pan", "", "pa", "Panjabi"},
    {"pli", "", "pi", "Pali"},
    {"pol", "", "pl", "Polish"},
    {"por", "", "pt", "Portuguese"},
    {"pus", "", "ps", "Pushto"},
    {"que", "", "qu", "Quechua"},
    {"roh", "", "rm", "Romansh"},
    {"ron", "rum", "ro", "Romanian"},
    {"run", "", "rn", "Rundi"},
    {"rus", "", "ru", "Russian"},
    {"sag", "", "sg", "Sango"},
    {"san", "", "sa", "Sanskrit"},
    {"sin", "", "si", "Sinhala"},
    {"slk", "slo", "sk", "Slovak"},
    {"slv", "", "sl", "Slovenian"},
    {"sme", "", "se", "Northern Sami"},
    {"smo", "", "sm", "Samoan"},
    {"sna", "", "sn", "Shona"},
    {"snd", "", "sd", "Sindhi"},
    {"som", "", "so", "Somali"},
    {"sot", "", "st", "Sotho"},
    {"spa", "", "es", "Spanish"},
    {"sqi", "alb", "sq", "Albanian"},
    {"srd", "", "sc", "Sardinian"},
    {"srp", "", "sr", "Serbian"},
    {"ssw", "", "ss", "Swati"},
    {"sun", "", "su", "Sundanese"},
    {"swa", "", "sw", "Swahili"},
    {"swe", "", "sv", "Swedish"},
    {"tah", "", "ty", "Tahitian"},
    {"tam", "", "ta", "Tamil"},
    {"tat", "", "tt", "Tatar"},
    {"tel", "", "te", "Telugu"},
    {"tgk", "", "tg", "Tajik"},
    {"tgl", "", "tl", "Tagalog"},
    {"tha", "", "th", "Thai"},
    {"tir", "", "ti", "Tigrinya"},
    {"ton", "", "to", "Tonga"},
    {"tsn", "", "tn", "Tswana"},
    {"tso", "", "ts", "Tsonga"},
    {"tuk", "", "tk", "Turkmen"},
    {"tur", "", "tr", "Turkish"},
    {"twi", "", "tw", "Twi"},
    {"uig", "", "ug", "Uighur"},
    {"ukr", "", "uk", "Ukrainian"},
    {"urd", "", "ur", "Urdu"},
    {"uzb", "", "uz", "Uzbek"},
    {"ven", "", "ve", "Venda"},
    {"vie", "", "vi", "Vietnamese"},
    {"vol", "", "vo", "Volapük"},
    {"wln", "", "wa", "Walloon"},
    {"wol", "", "wo", "Wolof"},
    {"xho", "", "xh", "Xhosa"},
    {"yid", "", "yi", "Yiddish"},
    {"yor", "", "yo", "Yoruba"},
    {"zha", "", "za", "Zhuang"},
    {"zho", "chi", "zh", "Chinese"},
    {"zul", "", "zu", "Zulu"},
};

// The numbers of the classic Mac OS (QuickTime file format, "Language code values"), in order.
static const char mac_languages[][4] = {
    "eng", "fra", "deu", "ita", "nld", "swe", "spa", "dan", "por", "nor", "heb", "jpn", "ara",
    "fin", "ell", "isl", "mlt", "tur", "hrv", "zho", "urd", "hin", "tha", "kor", "lit", "pol",
    "hun", "est", "lav", "sme", "fao", "fas", "rus", "zho", "nld", "gle", "sqi", "ron", "ces",
    "slk", "slv", "yid", "srp", "mkd", "bul", "ukr", "bel", "uzb", "kaz", "aze", "aze", "hye",
    "kat", "ron", "kir", "tgk", "tuk", "mon", "mon", "pus", "kur", "kas", "snd", "bod", "nep",
    "san", "mar", "ben", "asm", "guj", "pan", "ori", "mal", "kan", "tam", "tel", "sin", "mya",
    "khm", "lao", "vie", "ind", "tgl", "msa", "msa", "amh", "tir", "orm", "som", "swa", "kin",
    "run", "nya", "mlg", "epo",
};
// clang-format on

// The first `size` letters of a tag are the language itself.
static size_t primary_size(const char *tag)
{
    return strcspn(tag, "-_");
}

static bool is_code(const char *code, const char *tag, size_t size)
{
    return size == strlen(code) && size > 0 && strncasecmp(code, tag, size) == 0;
}

static const struct language *find(const char *tag)
{
    size_t size = primary_size(tag);
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++)
        if (is_code(languages[i].terminology, tag, size) ||
            is_code(languages[i].bibliographic, tag, size) ||
            is_code(languages[i].two_letters, tag, size))
            return &languages[i];
    return NULL;
}

static bool is_same_primary(const char *tag, const char *wanted)
{
    const struct language *language = find(tag);
    if (language != NULL)
        return language == find(wanted);
    size_t size = primary_size(tag);
    return size == primary_size(wanted) && strncasecmp(tag, wanted, size) == 0;
}

bool media_language_is(const char *tag, const char *wanted)
{
    if (tag[0] == '\0' || wanted[0] == '\0' || !is_same_primary(tag, wanted))
        return false;
    const char *tag_rest = tag + primary_size(tag);
    const char *wanted_rest = wanted + primary_size(wanted);
    size_t size = strlen(wanted_rest);
    return strncasecmp(tag_rest, wanted_rest, size) == 0 &&
           (tag_rest[size] == '\0' || tag_rest[size] == '-');
}

const char *media_language_name(const char *tag)
{
    const struct language *language = find(tag);
    return language != NULL ? language->name : NULL;
}

bool media_language_is_tag(const char *text)
{
    size_t word = 0;
    const char *at = text;
    for (; *at != '\0' && at - text < MEDIA_LANGUAGE_SIZE; at++) {
        word = *at == '-' ? 0 : word + 1;
        bool is_fine = *at == '-' ? at > text && at[-1] != '-' : isalnum((unsigned char)*at) != 0;
        if (!is_fine || word > 8)
            return false;
    }
    return word > 0 && *at == '\0' && at - text < MEDIA_LANGUAGE_SIZE &&
           isalpha((unsigned char)*text);
}

void media_language_unpack(uint16_t packed, char out[4])
{
    out[0] = '\0';
    if (packed < 0x400) {
        if (packed < sizeof mac_languages / sizeof mac_languages[0])
            text_copy(out, 4, mac_languages[packed]);
        return;
    }
    char code[4] = {(char)(0x60 + (packed >> 10 & 31)), (char)(0x60 + (packed >> 5 & 31)),
                    (char)(0x60 + (packed & 31)), '\0'};
    for (int i = 0; i < 3; i++)
        if (code[i] < 'a' || code[i] > 'z')
            return;
    if (strcmp(code, "und") != 0)
        text_copy(out, 4, code);
}
