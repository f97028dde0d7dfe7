// What a process costs: processor time of all its threads and of its main thread, and its resident memory. Linux only.
import { readdirSync, readFileSync } from 'node:fs'

/** Microseconds of processor time so far; threads that ended meanwhile are not in `all`. */
export function processorTime(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const of = (task) => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]) / 1000
    } catch {
      return 0
    }
  }
  return { all: tasks.reduce((sum, task) => sum + of(task), 0), main: of(pid) }
}

export function residentMegabytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024
}
