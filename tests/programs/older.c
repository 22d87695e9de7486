// Runs a command under a seccomp filter that answers for the kernel, as an older one would:
//
//   older NR=ERRNO... [setns-one] -- COMMAND [ARG...]
//
// NR=ERRNO: this system call fails with this error. setns-one: setns(2) knows one kind of
// namespace at a time, as before Linux 5.8.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct instruction { unsigned short code; unsigned char jt, jf; unsigned int k; };
struct program { unsigned short length; struct instruction *code; };

enum { LOAD = 0x20, EQUAL = 0x15, SUB = 0x14, TO_X = 0x07, AND_X = 0x5c, RETURN = 0x06, TO_M = 0x02, FROM_M = 0x60, X_FROM_M = 0x61 };
enum { ALLOW = 0x7fff0000, ERROR = 0x00050000, EINVAL_ = 22 };

static struct instruction code[256];
static unsigned short length;

static void add(unsigned short op, unsigned char jt, unsigned char jf, unsigned int k) {
    code[length++] = (struct instruction){op, jt, jf, k};
}

int main(int argc, char **argv) {
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--"); i++) {
        add(LOAD, 0, 0, 0);
        if (!strcmp(argv[i], "setns-one")) {
            add(EQUAL, 0, 7, SYS_setns);
            add(LOAD, 0, 0, 24);  // the low half of the flags
            add(TO_M, 0, 0, 0);
            add(SUB, 0, 0, 1);
            add(X_FROM_M, 0, 0, 0);
            add(AND_X, 0, 0, 0);
            add(EQUAL, 1, 0, 0);  // one bit at most
            add(RETURN, 0, 0, ERROR | EINVAL_);
        } else {
            unsigned nr, error;
            if (sscanf(argv[i], "%u=%u", &nr, &error) != 2) return 99;
            add(EQUAL, 0, 1, nr);
            add(RETURN, 0, 0, ERROR | error);
        }
    }
    add(RETURN, 0, 0, ALLOW);
    struct program program = {length, code};
    if (prctl(PR_SET_SECCOMP, 2, &program)) return perror("seccomp"), 99;
    execvp(argv[i + 1], argv + i + 1);
    return perror(argv[i + 1]), 99;
}
