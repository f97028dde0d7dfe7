// A server that speaks the DynamoDB API in a process of its own: the daemon, or a peer by the command that starts it.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { BenchDaemon } from './daemon.mjs'
import { call } from './load.mjs'

/** Resolves to {port, pid, readySeconds, stop}. */
export async function startDaemon(data, nodeArguments) {
  const daemon = await BenchDaemon.start(data, {}, nodeArguments)
  return { port: daemon.port, pid: daemon.pid, readySeconds: daemon.readySeconds, stop: () => daemon.stop() }
}

/** Node's HTTP server with constant answers, which nothing built on it can be faster than. */
export async function startBare(nodeArguments) {
  const file = new URL('bare-server.mjs', import.meta.url).pathname
  const child = spawn(process.execPath, [...nodeArguments, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  process.once('exit', () => child.kill('SIGKILL'))
  const port = await new Promise((resolve) => child.stdout.once('data', (line) => resolve(Number(line))))
  const stop = async () => void child.kill('SIGTERM')
  return { port, pid: child.pid, readySeconds: 0, isBare: true, stop }
}

/** `{port}` and `{data}` in the command are filled in; ready is when it answers ListTables. */
export async function startPeer(command, data) {
  const port = await freePort()
  const began = performance.now()
  const child = spawn(command.replaceAll('{port}', port).replaceAll('{data}', data), {
    shell: true,
    cwd: data,
    detached: true,
    stdio: 'ignore',
  })
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  process.once('exit', kill)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  ended.then((code) => {
    if (code !== null) console.error(`the command ended with ${code}: ${command}`)
  })
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`the command ended with ${child.exitCode}: ${command}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await call(port, 'ListTables', {})
  const readySeconds = (performance.now() - began) / 1000
  const stop = async () => {
    kill()
    await ended
  }
  return { port, pid: lastChild(child.pid), readySeconds, stop }
}

/** The process that a shell started, and not the shell. */
function lastChild(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean),
  )
  return children.length > 0 ? lastChild(Number(children[0])) : pid
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (found) => {
      socket.destroy()
      resolve(found)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}
