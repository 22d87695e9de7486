// A library of an image's. Whoever loads it runs it: it says so. No C library, so that it fits any.
#include <sys/syscall.h>

__attribute__((constructor)) static void loaded(void) {
    static const char text[] = "the image's library runs\n";
    long result = SYS_write;
    __asm__ volatile("syscall" : "+a"(result) : "D"(1), "S"(text), "d"(sizeof text - 1) : "rcx", "r11", "memory");
}
