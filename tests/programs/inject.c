// Types a line at every terminal it can reach, as if the person there had (TIOCSTI).
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(void) {
    int fds[] = {0, 1, 2, open("/dev/tty", O_RDWR)};
    for (int i = 0; i < 4; i++)
        for (const char *key = "INJECTED\n"; *key; key++)
            ioctl(fds[i], TIOCSTI, key);
    puts("tried");
    return 0;
}
