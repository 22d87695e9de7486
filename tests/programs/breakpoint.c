// Runs a command up to its first system call of a number, says "stopped", and lets it go on when
// a line comes:
//
//   breakpoint before|after NR COMMAND [ARG...]
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int after = !strcmp(argv[1], "after"), status, inside = 0, signal = 0;
    long wanted = atol(argv[2]);
    pid_t pid = fork();
    if (!pid) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[3], argv + 3);
        return perror(argv[3]), 99;
    }
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    for (;;) {
        ptrace(PTRACE_SYSCALL, pid, 0, signal);
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) break;
        signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        if (signal != SYSCALL_STOP) continue;
        signal = 0;
        inside = !inside;
        if (ptrace(PTRACE_PEEKUSER, pid, 8 * ORIG_RAX, 0) != wanted || inside == after) continue;
        puts("stopped");
        fflush(stdout);
        getchar();
        ptrace(PTRACE_DETACH, pid, 0, 0);
        waitpid(pid, &status, 0);
        break;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
