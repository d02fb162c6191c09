/* Runs a program on a disk whose flushes take longer: slow_disk MICROSECONDS PROGRAM ARGUMENT...
 *
 * Each fsync and fdatasync waits that long before it begins, and so does each write of less than a
 * page at an offset: that is LMDB's meta page, the one thing it writes with O_DSYNC. The kernel stops
 * the program at these calls (seccomp), so it works for a Go program, which calls no libc, and
 * costs the same for every program.
 *
 * The program keeps this process's id. A child beside it does the waiting, and dies with it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

enum { WAITING_MAX = 4096, PAGE_MASK = 4095 };

struct waiting {
    __u64 id;
    long long due_ns;
};

static void fail(const char *what) {
    fprintf(stderr, "slow_disk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Stop this program at its flushes; a descriptor tells of each. */
static int watch_flushes(void) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fdatasync, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fsync, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_pwrite64, 0, 3),
        /* The low half of the third argument: how many bytes. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PAGE_MASK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    unsigned long flags =
        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        fail("prctl");
    int listener = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (listener < 0)
        fail("seccomp");
    return listener;
}

/* All wait equally long, so who came first goes on first. */
static void delay(int listener, long long delay_ns) {
    static struct waiting queue[WAITING_MAX];
    unsigned head = 0, tail = 0;

    for (;;) {
        struct pollfd polled = {listener, POLLIN, 0};
        struct timespec left = {0, 0}, *timeout = NULL;
        if (head != tail) {
            long long ns = queue[head % WAITING_MAX].due_ns - now_ns();
            if (ns > 0) {
                left.tv_sec = ns / 1000000000LL;
                left.tv_nsec = ns % 1000000000LL;
            }
            timeout = &left;
        }
        if (ppoll(&polled, 1, timeout, NULL) > 0) {
            struct seccomp_notif found;
            memset(&found, 0, sizeof found);
            if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &found) == 0)
                queue[tail++ % WAITING_MAX] = (struct waiting){found.id, now_ns() + delay_ns};
            else if (polled.revents & POLLHUP)
                exit(0);
        }
        while (head != tail && queue[head % WAITING_MAX].due_ns <= now_ns()) {
            struct seccomp_notif_resp go_on = {
                queue[head++ % WAITING_MAX].id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
            ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &go_on); /* it may be gone meanwhile */
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: slow_disk MICROSECONDS PROGRAM ARGUMENT...\n");
        return 2;
    }
    long long delay_ns = atoll(argv[1]) * 1000;
    pid_t program = getpid();
    int listener = watch_flushes();
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != program)
            return 0;
        signal(SIGINT, SIG_IGN);
        delay(listener, delay_ns);
    }
    close(listener);
    execvp(argv[2], argv + 2);
    fail(argv[2]);
}
