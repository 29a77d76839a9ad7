// Writes a file, or a folder's names in their order, to stdout; exits with 1 where it cannot.
// With a second argument it writes that into the file instead.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int list(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, "..")) {
            puts(entries[i]->d_name);
        }
    }
    return 0;
}

static int show(const char *path) {
    char part[4096];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    size_t size;
    while ((size = fread(part, 1, sizeof part, file)) > 0) {
        fwrite(part, 1, size, stdout);
    }
    return ferror(file) ? -1 : 0;
}

static int put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    return file == NULL || fputs(text, file) < 0 || fclose(file) != 0 ? -1 : 0;
}

int main(int argc, char **argv) {
    int result = argc > 2 ? put(argv[1], argv[2]) : list(argv[1]) && show(argv[1]) ? -1 : 0;
    if (result < 0) {
        perror(argv[1]);
    }
    return result < 0;
}
