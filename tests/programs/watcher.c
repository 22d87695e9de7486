// A hostile process of a container: looks for SECONDS at all that processes called NAME have open,
// as CAP_SYS_PTRACE lets it, and tells each path that is no device's.
//
//   watcher NAME SECONDS
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int is_called(const char *pid, const char *name) {
    char path[300], comm[64] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int same = fscanf(file, "%63s", comm) == 1 && !strcmp(comm, name);
    fclose(file);
    return same;
}

// Whether anything of it could be seen.
static int look(const char *pid) {
    char path[600], link[4096];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *fds = opendir(path);
    int seen = 0;
    for (struct dirent *entry; fds && (entry = readdir(fds));) {
        snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, entry->d_name);
        ssize_t length = readlink(path, link, sizeof link - 1);
        if (length <= 0) continue;
        seen = 1;
        link[length] = 0;
        if (link[0] == '/' && strncmp(link, "/dev/", 5)) printf("has %s\n", link);
    }
    if (fds) closedir(fds);
    return seen;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    time_t end = time(NULL) + atoi(argv[2]);
    puts("ready");
    fflush(stdout);
    long seen = 0;
    while (time(NULL) < end) {
        DIR *proc = opendir("/proc");
        for (struct dirent *entry; proc && (entry = readdir(proc));)
            if (atoi(entry->d_name) && is_called(entry->d_name, argv[1])) seen += look(entry->d_name);
        if (proc) closedir(proc);
    }
    printf("seen: %s\n", seen ? "yes" : "no");
    return 0;
}
