// A load of HTTP/1.1 requests over keep-alive connections, each with one request in flight. It runs on the cores that it
// measures, so it is cheap: one string a request, no promise, no copy of an answer that nobody wants.
import { connect } from 'node:net'

const headEnd = Buffer.from('\r\n\r\n')
const lastChunk = Buffer.from('0\r\n\r\n')

class Connection {
  #socket
  #onAnswer
  /** Buffers of the answer that is coming, and how many bytes they have together. */
  #parts = []
  #bytes = 0
  /** Bytes of the whole answer; -1 until its head is there, Infinity when only its last chunk says. */
  #wanted = -1
  #bodyStart = 0
  #status = 0
  wantsBody = false
  sentAt = 0

  constructor(port, onAnswer, onError) {
    this.#onAnswer = onAnswer

    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: Buffer.allocUnsafe(256 * 1024), callback: (count, buffer) => this.#take(count, buffer) },
    })
    this.#socket.on('error', onError)
    this.#socket.on('close', () => onError(new Error('the connection was closed')))
  }

  send(text) {
    this.sentAt = performance.now()
    this.#socket.write(text, 'latin1')
  }

  #take(count, buffer) {
    // The buffer is filled again by the next read: only what is kept is copied.
    const isFirst = this.#bytes === 0
    const data = buffer.subarray(0, count)
    this.#bytes += count
    if (!isFirst || this.wantsBody) this.#parts.push(Buffer.from(data))
    if (this.#wanted < 0) {
      const head = isFirst ? data : Buffer.concat(this.#parts)
      const end = head.indexOf(headEnd)
      if (end >= 0) this.#readHead(head.latin1Slice(0, end), end + 4)
      else if (isFirst && !this.wantsBody) this.#parts.push(Buffer.from(data))
    }
    const isOver = this.#wanted === Number.POSITIVE_INFINITY ? endsWith(data, lastChunk) : this.#bytes >= this.#wanted
    if (this.#wanted < 0 || !isOver) return true
    const kept = this.wantsBody || this.#status !== 200
    const whole = kept ? (this.#parts.length > 0 ? Buffer.concat(this.#parts) : Buffer.from(data)) : undefined
    const body = whole?.subarray(this.#bodyStart)
    this.#parts = []
    this.#bytes = 0
    this.#wanted = -1
    this.#onAnswer(this, this.#status, body)
    return true
  }

  #readHead(head, bodyStart) {
    this.#status = Number(head.slice(9, 12))
    this.#bodyStart = bodyStart
    const length = /content-length: *(\d+)/i.exec(head)
    this.#wanted = length ? bodyStart + Number(length[1]) : Number.POSITIVE_INFINITY
  }

  close() {
    this.#socket.removeAllListeners()
    this.#socket.on('error', () => {})
    this.#socket.destroy()
  }
}

const endsWith = (data, end) => data.length >= end.length && data.subarray(data.length - end.length).equals(end)

// DynamoDB Local refuses a request without a signature, and looks at no more of it than the key's id.
const headOf = (target) =>
  `POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-target: ${target}\r\n` +
  'x-amz-date: 20260101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, ' +
  'SignedHeaders=host;x-amz-date;x-amz-target, Signature=00000000000000000000000000000000\r\ncontent-length: '

const services = { GetRecords: 'DynamoDBStreams_20120810' }
const targetOf = (operation) =>
  `${services[operation] ?? (/Stream|ShardIterator/.test(operation) ? 'DynamoDBStreams_20120810' : 'DynamoDB_20120810')}.${operation}`

/**
 * As many requests as `connections` give in `seconds`. `body(connection)` makes the next body (ASCII); `took(body)`, when it
 * is there, gets each answer's, and says whether to go on. Resolves to milliseconds of each request, and seconds of all.
 */
export function load({ port, connections, seconds, operation, body, took }) {
  const head = headOf(targetOf(operation))
  const times = []
  const all = []
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const end = began + seconds * 1000
    let running = connections
    const stop = (error) => {
      for (const each of all) each.close()
      if (error) reject(error)
      else resolve({ times, seconds: (performance.now() - began) / 1000 })
    }
    const send = (connection) => {
      const text = body(connection)
      connection.send(`${head}${text.length}\r\n\r\n${text}`)
    }
    const onAnswer = (connection, status, answer) => {
      const now = performance.now()
      if (status !== 200) return stop(new Error(`${operation}: ${status} ${answer}`))
      times.push(now - connection.sentAt)
      if ((took === undefined || took(answer)) && now < end) return send(connection)
      running--
      if (running === 0) stop()
    }
    for (let i = 0; i < connections; i++) {
      const connection = new Connection(port, onAnswer, stop)
      connection.wantsBody = took !== undefined
      all.push(connection)
      send(connection)
    }
  })
}

/** One request; the parsed answer. */
export async function call(port, operation, input) {
  let answer
  const took = (body) => {
    answer = JSON.parse(body)
    return false
  }
  await load({ port, connections: 1, seconds: 60, operation, body: () => JSON.stringify(input), took })
  return answer
}
