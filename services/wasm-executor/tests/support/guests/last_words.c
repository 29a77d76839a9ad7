// Writes its second argument into the file that its first one names; exits with 1 where it cannot.
#include <stdio.h>

int main(int argc, char **argv) {
    FILE *file = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (file == NULL) {
        perror("last_words");
        return 1;
    }
    return fputs(argv[2], file) < 0 || fclose(file) != 0;
}
