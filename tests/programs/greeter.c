/* Another release's cnsenter: says what GREETING holds, and waits for the end of stdin. */
#include <fcntl.h>
#include <unistd.h>

static const char GREETING[] = "/usr/local/greeting";

int main(void)
{
    char bytes[4096];
    int file = open(GREETING, O_RDONLY);
    ssize_t length = read(file, bytes, sizeof bytes);

    if (length < 0 || write(STDOUT_FILENO, bytes, length) != length)
        return 1;
    while (read(STDIN_FILENO, bytes, sizeof bytes) > 0)
        ;
    return 0;
}
