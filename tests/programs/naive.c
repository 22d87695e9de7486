// A tool that enters containers and believes what it finds there. Each part does what a simple
// one does, and tells what came of it:
//
//   naive PID cwd DIR      changes to DIR in there and lists it
//   naive PID terminal     makes a terminal in there and types a line into it
//   naive PID label        sets the LSM's label for the next exec
//   naive PID user NAME    looks NAME up in the container's accounts; else it is a number
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ALL = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS };

static int fail(const char *what) {
    perror(what);
    return 1;
}

static int list(const char *folder) {
    if (chdir(folder)) return fail(folder);
    execl("/bin/ls", "ls", NULL);
    return fail("ls");
}

static int terminal(void) {
    int number, unlocked = 0;
    int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
    if (ioctl(master, TIOCSPTLCK, &unlocked) || ioctl(master, TIOCGPTN, &number)) return fail("ptmx");
    char name[32];
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    int other = open(name, O_RDWR | O_NOCTTY);
    if (write(other, "typed\n", 6) < 0) return fail(name);
    puts("typed");
    return 0;
}

static int label(void) {
    int file = open("/proc/self/attr/apparmor/exec", O_WRONLY);
    if (write(file, "exec unconfined", 15) < 0) return fail("label");
    puts("labelled");
    return 0;
}

static int user(const char *pid, const char *name) {
    char line[4096], path[64];
    snprintf(path, sizeof path, "/proc/%s/root/etc/passwd", pid);
    FILE *accounts = fopen(path, "r");
    unsigned id = strtoul(name, NULL, 10);
    size_t length = strlen(name), bytes = 0;
    // In pieces, for the sake of whoever runs the tests: a simple tool reads all of it into memory.
    while (accounts && fgets(line, sizeof line, accounts)) {
        bytes += sizeof line;
        if (bytes > 64 << 20) return puts("endless"), 1;
        if (!strncmp(line, name, length) && line[length] == ':')
            id = strtoll(strchr(line + length + 1, ':') + 1, NULL, 10);
    }
    printf("%u\n", id);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *pid = argv[1], *part = argv[2];
    if (!strcmp(part, "user")) return user(pid, argv[3]);
    int init = syscall(SYS_pidfd_open, atoi(pid), 0);
    if (setns(init, ALL)) return fail("setns");
    int status = 0;
    if (fork()) return wait(&status), WEXITSTATUS(status);
    return !strcmp(part, "cwd") ? list(argv[3]) : !strcmp(part, "terminal") ? terminal() : label();
}
