#ifndef CONIGURUMA_SHIM_H
#define CONIGURUMA_SHIM_H

#include <oniguruma.h>
#include <stddef.h>

// Swift can neither call a variadic function nor read a mutable global, and encodings are macros; so the
// three calls that need one stand here.

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

#endif
