#ifndef CHDF5_SHIM_H
#define CHDF5_SHIM_H

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

// HDF5's constants are macros that call a function and read a global, which Swift can't; so each that is used
// is a function here. Numbered functions are called as they are (H5Dopen2), whatever a header maps names to.

/// The type of strings of any length in UTF-8.
static inline hid_t CHDF5VariableString(void) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

/// Makes the library ready, and keeps it from loading code that the environment names.
static inline int CHDF5Initialize(void) {
    // What is made is closed where it is made, so nothing has to be closed in order at the end.
    H5dont_atexit();
    return H5open() < 0 ? -1 : H5PLset_loading_state(0);
}

/// Keeps the library from printing errors; some builds remember that for each thread.
static inline void CHDF5Silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

static inline hid_t CHDF5Default(void) { return H5P_DEFAULT; }
static inline unsigned CHDF5Truncate(void) { return H5F_ACC_TRUNC; }

/// How a file is made: without locks, which network file systems may not know, with headers as HDF5 1.8 and all later
/// versions read them, and large data on page boundaries.
static inline hid_t CHDF5FileAccess(void) {
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list >= 0 && (H5Pset_file_locking(list, 0, 1) < 0 || H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_LATEST) < 0
            || H5Pset_alignment(list, 4096, 4096) < 0)) {
        H5Pclose(list);
        return -1;
    }
    return list;
}

static inline hid_t CHDF5WithoutTimes(hid_t class_) {
    hid_t list = H5Pcreate(class_);
    if (list >= 0) H5Pset_obj_track_times(list, 0);
    return list;
}

/// What files, groups and datasets are made with: no times, so that equal contents are equal bytes.
static inline hid_t CHDF5FileCreation(void) { return CHDF5WithoutTimes(H5P_FILE_CREATE); }
static inline hid_t CHDF5GroupCreation(void) { return CHDF5WithoutTimes(H5P_GROUP_CREATE); }

/// Datasets have their room from the start, in one piece that nothing is put into.
static inline hid_t CHDF5DatasetCreation(void) {
    hid_t list = CHDF5WithoutTimes(H5P_DATASET_CREATE);
    if (list >= 0) {
        H5Pset_layout(list, H5D_CONTIGUOUS);
        H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
        H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
    }
    return list;
}

/// Names of links and of attributes are UTF-8.
static inline hid_t CHDF5InUTF8(hid_t class_) {
    hid_t list = H5Pcreate(class_);
    if (list >= 0) H5Pset_char_encoding(list, H5T_CSET_UTF8);
    return list;
}
static inline hid_t CHDF5LinkCreation(void) { return CHDF5InUTF8(H5P_LINK_CREATE); }
static inline hid_t CHDF5AttributeCreation(void) { return CHDF5InUTF8(H5P_ATTRIBUTE_CREATE); }

/// Integers of 1, 2, 4 or 8 bytes, little-endian.
static inline hid_t CHDF5Integer(size_t size, int isSigned) {
    hid_t type = H5Tcopy(isSigned ? H5T_STD_I64LE : H5T_STD_U64LE);
    if (type >= 0) H5Tset_size(type, size);
    return type;
}

/// IEEE numbers of 2, 4 or 8 bytes, little-endian.
static inline hid_t CHDF5Float(size_t size) {
    if (size != 2) return H5Tcopy(size == 4 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE);
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (type >= 0) {
        H5Tset_fields(type, 15, 10, 5, 0, 10);
        H5Tset_size(type, 2);
        H5Tset_ebias(type, 15);
    }
    return type;
}

/// Truth values as h5py has them: an enumeration of a byte.
static inline hid_t CHDF5Truth(void) {
    hid_t base = CHDF5Integer(1, 1), type = H5Tenum_create(base);
    signed char no = 0, yes = 1;
    H5Tclose(base);
    if (type >= 0) {
        H5Tenum_insert(type, "FALSE", &no);
        H5Tenum_insert(type, "TRUE", &yes);
    }
    return type;
}

/// Writes strings that stand one behind the other, each ended by a zero byte, as an attribute's values.
static inline herr_t CHDF5WriteStrings(hid_t attribute, hid_t type, const char *bytes, size_t count) {
    const char **strings = (const char **)calloc(count, sizeof *strings);
    if (!strings) return -1;
    for (size_t i = 0; i < count; i++, bytes += strlen(bytes) + 1) strings[i] = bytes;
    herr_t status = H5Awrite(attribute, type, strings);
    free(strings);
    return status;
}

static inline herr_t CHDF5FirstError(unsigned depth, const H5E_error2_t *error, void *words) {
    (void)depth;
    if (error->desc && *error->desc) {
        strncpy((char *)words, error->desc, 255);
        ((char *)words)[255] = 0;
        return 1;
    }
    return 0;
}

/// Copies the innermost words of the last error into 256 bytes, and forgets it.
static inline void CHDF5TakeError(char *words) {
    words[0] = 0;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, CHDF5FirstError, words);
    H5Eclear2(H5E_DEFAULT);
}

/// Closes something; the last error stays known.
static inline void CHDF5Close(hid_t id) {
    hid_t errors = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : -1;
    H5Idec_ref(id);
    if (errors >= 0) H5Eset_current_stack(errors);
}

#endif
