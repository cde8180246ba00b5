/*
 * Runs a fuzz target without libFuzzer: each file of the corpus as it is, cut at every place
 * (up to a bound) and with bytes changed under a fixed seed, so that a failure repeats.
 *
 *     fuzz_conf tests/fuzz/corpus/conf
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX ((size_t)64 * 1024)
#define CUTS_MAX 400
#define MUTATIONS 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* In memory of exactly its size, so that the sanitizer sees a read one byte too far. */
static void run(const uint8_t *data, size_t bytes)
{
    uint8_t *exact = malloc(bytes == 0 ? 1 : bytes);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, data, bytes);
    (void)LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
}

static void run_mutations(uint8_t *data, size_t bytes)
{
    unsigned seed = 1;
    run(data, bytes);
    size_t step = bytes / CUTS_MAX + 1;
    for (size_t cut = 0; cut < bytes; cut += step) {
        run(data, cut);
    }
    for (int i = 0; i < MUTATIONS && bytes > 0; i++) {
        size_t at = (size_t)rand_r(&seed) % bytes;
        uint8_t before = data[at];
        data[at] =
            (uint8_t)(rand_r(&seed) % 2 == 0 ? rand_r(&seed) : before ^ (1 << (rand_r(&seed) % 8)));
        run(data, bytes);
        if (i % 8 != 0) { /* now and then a change stays, so that they add up */
            data[at] = before;
        }
    }
}

static int run_file(const char *path)
{
    static uint8_t data[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t bytes = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    run_mutations(data, bytes);
    return 0;
}

static int run_dir(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0) {
        perror(path);
        return 1;
    }
    int failed = 0;
    for (int i = 0; i < count; i++) {
        char file[4096];
        (void)snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            failed |= run_file(file);
        }
        free(names[i]);
    }
    free(names);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) != 0) {
            perror(argv[i]);
            return 1;
        }
        failed |= S_ISDIR(status.st_mode) ? run_dir(argv[i]) : run_file(argv[i]);
    }
    return failed;
}
