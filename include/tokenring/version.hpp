// The version of this build, as clients and operators see it.
#pragma once

#ifndef TOKENRING_VERSION
#define TOKENRING_VERSION "0.0.0"
#endif

// memcached clients look for a memcached version that they know; ours follows it.
#define TOKENRING_VERSION_TEXT "1.6.18-tokenring-" TOKENRING_VERSION
