#include "cli/progress.h"

#include <unistd.h>

#include "base/check.h"
#include "base/time.h"
#include "cli/human.h"

#define BAR_CELLS 30
#define INTERVAL_NS (100 * TIME_MS_NS)

void progress_print_bytes(FILE *file, double bytes)
{
    struct buf text = {0};
    human_bytes(&text, bytes);
    fputs(buf_str(&text), file);
    buf_deinit(&text);
}

static void draw_cells(double part)
{
    int cells = (int)(part * BAR_CELLS);
    fprintf(stderr, "%3.0f%% [", part * 100);
    for (int i = 0; i < BAR_CELLS; i++) {
        fputc(i < cells ? '#' : i == cells ? '>' : ' ', stderr);
    }
    fputs("] ", stderr);
}

static void draw(struct progress *progress)
{
    double seconds = (double)(progress->drawn_ns - progress->started_ns) / TIME_S_NS;
    fprintf(stderr, "\r\033[K%s ", progress->what);
    if (progress->bytes_total > 0) {
        draw_cells(MIN(1.0, (double)progress->bytes / (double)progress->bytes_total));
    }
    progress_print_bytes(stderr, (double)progress->bytes);
    fputs(", ", stderr);
    progress_print_bytes(stderr, seconds > 0.05 ? (double)progress->bytes / seconds : 0);
    fputs("/s", stderr);
    fflush(stderr);
    progress->drawn_at_all = true;
}

void progress_begin(struct progress *progress, struct io *io, const char *what,
                    uint64_t bytes_total, bool quiet)
{
    *progress = (struct progress){.io = io, .what = what, .bytes_total = bytes_total};
    progress->quiet = quiet || isatty(STDERR_FILENO) != 1;
    progress->started_ns = io_monotonic_ns(io);
    progress_add(progress, 0);
}

void progress_add(struct progress *progress, uint64_t bytes)
{
    progress->bytes += bytes;
    if (progress->quiet) {
        return;
    }
    int64_t now_ns = io_monotonic_ns(progress->io);
    if (!progress->drawn_at_all || now_ns - progress->drawn_ns >= INTERVAL_NS) {
        progress->drawn_ns = now_ns;
        draw(progress);
    }
}

void progress_end(struct progress *progress)
{
    if (progress->drawn_at_all) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->quiet = true;
}
