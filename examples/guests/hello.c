/* Says hello to its arguments; with none, to the world. Ends with the exit code in $EXIT_CODE. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc < 2)
        puts("Hello, world, from C");
    for (int i = 1; i < argc; i++)
        printf("Hello, %s, from C\n", argv[i]);
    const char *code = getenv("EXIT_CODE");
    return code ? atoi(code) : 0;
}
