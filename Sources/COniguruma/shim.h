#ifndef CONIGURUMA_SHIM_H
#define CONIGURUMA_SHIM_H
#include <oniguruma.h>
#endif
