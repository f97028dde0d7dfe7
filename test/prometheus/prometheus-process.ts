import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A series as a query gives it. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

export interface EvaluatedRule {
  readonly name: string
  readonly health: 'ok' | 'err' | 'unknown'
  readonly lastError?: string
}

/** A Prometheus of its own process, on a free port of loopback. */
export class PrometheusProcess {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #url = ''
  #log = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#exited = new Promise((resolve) => child.on('exit', resolve))
  }

  /** Resolves when it listens; rejects with its log when it ends before. */
  static async start(configFile: string, folder: string): Promise<PrometheusProcess> {
    const child = spawn(
      'prometheus',
      [
        `--config.file=${configFile}`,
        `--storage.tsdb.path=${join(folder, 'tsdb')}`,
        '--web.listen-address=127.0.0.1:0',
        '--log.level=info',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder },
    )
    const prometheus = new PrometheusProcess(child)
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stderr! }).on('line', (line) => {
        prometheus.#log = `${prometheus.#log}${line}\n`.slice(-50_000)
        const listening = /msg="Listening on" address=(127\.0\.0\.1:\d+)/.exec(line)
        if (!listening) return
        prometheus.#url = `http://${listening[1]}`
        resolve()
      })
      void prometheus.#exited.then(() => reject(new Error(`prometheus ended:\n${prometheus.#log}`)))
    })
    return prometheus
  }

  async query(expression: string): Promise<readonly Series[]> {
    const { result } = await this.#ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
      `query?query=${encodeURIComponent(expression)}`,
    )
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }

  async alerts(): Promise<readonly Alert[]> {
    return (await this.#ask<{ alerts: readonly Alert[] }>('alerts')).alerts
  }

  async rules(): Promise<readonly EvaluatedRule[]> {
    const { groups } = await this.#ask<{ groups: { rules: EvaluatedRule[] }[] }>('rules')
    return groups.flatMap(({ rules }) => rules)
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`)
    const answer = (await response.json()) as { status: string; error?: string; data: T }
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}\n${this.#log}`)
    return answer.data
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#exited
  }
}
