// Runs the threads of a CUDA block as fibers of one CPU thread; see cuda_runtime.h.
//
// Between two barriers the threads of a block may run in any order, and an asynchronous copy may
// happen any time until it is waited for. A kernel without races gives the same bits in all of
// them, so the order and the time of copies can be chosen: a test runs the extremes and compares.
#include "cuda_runtime.h"

#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda_pipeline.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr size_t STACK_BYTES = 256 * 1024;
constexpr size_t WARP = 32;

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};

struct Fiber {
  enum State { RUNNABLE, WAITING, FINISHED };

  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
  State state = FINISHED;
  cuda_on_host::Wait kind = cuda_on_host::AT_BLOCK;
  int line = 0;
  std::vector<Copy> uncommitted;
  std::vector<std::vector<Copy>> groups;  // oldest first

  void copy_all_but(size_t newest) {
    while (groups.size() > newest) {
      for (const Copy& copy : groups.front()) {
        memcpy(copy.to, copy.from, copy.bytes);
      }
      groups.erase(groups.begin());
    }
  }
};

bool misaligned_copy = false;
bool reversed = false;
bool late_copies = false;
std::mutex one_launch;
std::vector<Fiber> fibers;
Fiber* running = nullptr;
ucontext_t scheduler;
void (*kernel_to_run)(void*);
void* its_argument;

// AddressSanitizer must know which stack is in use. `fake` keeps the stack left, nullptr ends it.
const void* scheduler_stack = nullptr;
size_t scheduler_bytes = 0;

void before_switch(void** fake, const void* stack, size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(fake, stack, bytes);
#else
  (void)fake, (void)stack, (void)bytes;
#endif
}

void after_switch(void* fake, const void** stack, size_t* bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, stack, bytes);
#else
  (void)fake, (void)stack, (void)bytes;
#endif
}

void run_fiber() {
  after_switch(nullptr, &scheduler_stack, &scheduler_bytes);
  kernel_to_run(its_argument);
  running->copy_all_but(0);
  running->state = Fiber::FINISHED;
  before_switch(nullptr, scheduler_stack, scheduler_bytes);
  swapcontext(&running->context, &scheduler);
}

void resume(size_t thread) {
  running = &fibers[thread];
  threadIdx = dim3(unsigned(thread) % blockDim.x, unsigned(thread) / blockDim.x % blockDim.y,
                   unsigned(thread) / blockDim.x / blockDim.y);
  void* fake = nullptr;
  before_switch(&fake, running->stack.get(), STACK_BYTES);
  swapcontext(&scheduler, &running->context);
  after_switch(fake, nullptr, nullptr);
}

// Lets threads [first, last) go on if all of them wait at one barrier of this kind.
bool release(cuda_on_host::Wait kind, size_t first, size_t last) {
  const auto begin = fibers.begin() + long(first);
  const auto end = fibers.begin() + long(last);
  const int line = begin->line;
  const auto waits = [&](const Fiber& each) {
    return each.state == Fiber::WAITING && each.kind == kind && each.line == line;
  };
  if (!std::all_of(begin, end, waits)) {
    return false;
  }
  std::for_each(begin, end, [](Fiber& each) { each.state = Fiber::RUNNABLE; });
  return true;
}

bool run_block(size_t threads) {
  for (Fiber& each : fibers) {
    getcontext(&each.context);
    each.context.uc_stack.ss_sp = each.stack.get();
    each.context.uc_stack.ss_size = STACK_BYTES;
    each.context.uc_link = nullptr;
    makecontext(&each.context, run_fiber, 0);
    each.state = Fiber::RUNNABLE;
    each.uncommitted.clear();
    each.groups.clear();
  }
  for (;;) {
    for (size_t i = 0; i < threads; ++i) {
      const size_t thread = reversed ? threads - 1 - i : i;
      if (fibers[thread].state == Fiber::RUNNABLE) {
        resume(thread);
      }
    }
    const auto finished = [](const Fiber& each) { return each.state == Fiber::FINISHED; };
    if (std::all_of(fibers.begin(), fibers.end(), finished)) {
      return true;
    }
    bool released = release(cuda_on_host::AT_BLOCK, 0, threads);
    for (size_t first = 0; first < threads; first += WARP) {
      released |= release(cuda_on_host::AT_WARP, first, std::min(first + WARP, threads));
    }
    if (!released) {
      fprintf(stderr, "cuda_on_host: a barrier that not every thread reaches\n");
      return false;
    }
  }
}

}  // namespace

namespace cuda_on_host {

void wait(Wait kind, int line) {
  running->state = Fiber::WAITING;
  running->kind = kind;
  running->line = line;
  void* fake = nullptr;
  before_switch(&fake, scheduler_stack, scheduler_bytes);
  swapcontext(&running->context, &scheduler);
  after_switch(fake, &scheduler_stack, &scheduler_bytes);
}

cudaError_t run_grid(dim3 grid, dim3 block, void (*kernel)(void*), void* argument) {
  const std::lock_guard<std::mutex> guard(one_launch);
  const size_t threads = size_t(block.x) * block.y * block.z;
  fibers.resize(threads);
  misaligned_copy = false;
  kernel_to_run = kernel;
  its_argument = argument;
  gridDim = grid;
  blockDim = block;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
        if (!run_block(threads) || misaligned_copy) {
          return cudaErrorLaunchFailure;
        }
      }
    }
  }
  return cudaSuccess;
}

}  // namespace cuda_on_host

void __pipeline_memcpy_async(void* shared, const void* global, size_t bytes) {
  misaligned_copy |= (uintptr_t(shared) | uintptr_t(global)) % bytes != 0;
  if (late_copies) {
    running->uncommitted.push_back({shared, global, bytes});
  } else {
    memcpy(shared, global, bytes);
  }
}

void __pipeline_commit() { running->groups.push_back(std::move(running->uncommitted)); }

void __pipeline_wait_prior(size_t groups) { running->copy_all_but(groups); }

// How later launches run: threads of a block backwards, asynchronous copies when waited for.
extern "C" __attribute__((visibility("default"))) void mgdn_cuda_on_host_schedule(int backwards,
                                                                                   int late) {
  const std::lock_guard<std::mutex> guard(one_launch);
  reversed = backwards != 0;
  late_copies = late != 0;
}
