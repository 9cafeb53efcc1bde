#ifndef CONIGURUMA_SHIM_H
#define CONIGURUMA_SHIM_H

#include <oniguruma.h>
#include <stddef.h>

// Swift can neither call a variadic function nor read a mutable global, and encodings are macros; so the
// calls that need one stand here.

/// Makes the library ready; to be called once, before any other call.
static inline int COnigurumaInitialize(void) {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    return onig_initialize(encodings, 1);
}

/// Compiles a UTF-8 pattern in the library's default syntax; the result is 0 or an error code.
static inline int COnigurumaCompile(
    OnigRegex *regex, const unsigned char *pattern, size_t length, OnigErrorInfo *error) {
    return onig_new(regex, pattern, pattern + length, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
        OnigDefaultSyntax, error);
}

/// Writes the error's words, at most ONIG_MAX_ERROR_MESSAGE_LEN bytes, and gives their number.
static inline int COnigurumaDescribe(unsigned char *words, int code, OnigErrorInfo *error) {
    return error ? onig_error_code_to_str(words, code, error) : onig_error_code_to_str(words, code);
}

/// Finds the characters that have a property: their number of stretches, then the first and last of each.
static inline int COnigurumaCharacters(
    const unsigned char *name, size_t length, const OnigCodePoint **table) {
    OnigEncoding encoding = ONIG_ENCODING_UTF8;
    int property = encoding->property_name_to_ctype(
        encoding, (OnigUChar *)name, (OnigUChar *)name + length);
    if (property < 0) return property;
    OnigCodePoint firstOfSeveralBytes;
    return encoding->get_ctype_code_range(property, &firstOfSeveralBytes, table);
}

#endif
