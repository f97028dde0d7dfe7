// A bare HTTP/1.1 client on one keep-alive connection, one request in flight: it costs a few microseconds a request, so
// that the benchmark measures the daemon.
import { connect } from 'node:net'

export class RawClient {
  #socket
  #received = Buffer.alloc(0)
  #resolve
  #reject

  constructor(port, host = '127.0.0.1') {
    this.#socket = connect(port, host)
    this.#socket.setNoDelay(true)
    this.#socket.on('data', (data) => this.#take(data))
    this.#socket.on('error', (error) => this.#reject?.(error))
    this.#socket.on('close', () => this.#reject?.(new Error('the connection was closed')))
  }

  request(method, path, headers, body) {
    let head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${body.length}\r\n`
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`
    this.#socket.write(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body]))
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  #take(data) {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data])
    const end = this.#received.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#received.latin1Slice(0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#received.length < end + 4 + length) return
    const body = this.#received.subarray(end + 4, end + 4 + length)
    this.#received = this.#received.subarray(end + 4 + length)
    const resolve = this.#resolve
    this.#resolve = undefined
    this.#reject = undefined
    resolve({ status: Number(head.slice(9, 12)), body })
  }

  close() {
    this.#reject = undefined
    this.#socket.destroy()
  }
}
