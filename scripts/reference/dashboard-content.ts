/** One number at the top. */
export interface Tile {
  readonly title: string
  /** Grafana's name of it. */
  readonly unit: string
  readonly expression: string
  /** Red from this value on, or below it. */
  readonly red?: { readonly at: number; readonly when: 'above' | 'below' }
}

export interface Query {
  readonly expression: string
  readonly legend: string
}

export interface Graph {
  readonly title: string
  readonly description?: string
  readonly unit: string
  readonly queries: readonly Query[]
  readonly stacked?: boolean
}

export interface Row {
  readonly title: string
  readonly graphs: readonly Graph[]
}

const ours = 'instance=~"$instance"'
const query = (expression: string, legend: string): Query => ({ expression, legend })
/** The rate of a counter, per second, summed over everything but the named labels. */
const rate = (counter: string, by: string): string =>
  `sum by (${by}) (rate(millrace_${counter}{${ours}}[$__rate_interval]))`

export const tiles: readonly Tile[] = [
  { title: 'Ready', unit: 'short', expression: `min(millrace_ready{${ours}})`, red: { at: 1, when: 'below' } },
  {
    title: 'Alerts that fire',
    unit: 'short',
    expression: `sum(ALERTS{alertname=~"Millrace.*", alertstate="firing", ${ours}}) or vector(0)`,
    red: { at: 1, when: 'above' },
  },
  { title: 'Records appended', unit: 'cps', expression: rate('appended_records_total', 'job') },
  { title: 'Commits', unit: 'cps', expression: rate('commits_total', 'job') },
  {
    title: 'Slowest 1 % of commits',
    unit: 's',
    expression: `max(instance:millrace_commit_seconds:p99_5m{${ours}})`,
    red: { at: 0.5, when: 'above' },
  },
  {
    title: 'Free disk above the bound',
    unit: 'bytes',
    expression: `min(millrace_storage_free_bytes{${ours}} - millrace_storage_free_bytes_min{${ours}})`,
    red: { at: 1e9, when: 'below' },
  },
]

export const rows: readonly Row[] = [
  {
    title: 'Writing',
    graphs: [
      {
        title: 'Records appended',
        unit: 'cps',
        queries: [query(rate('appended_records_total', 'instance'), '{{instance}}')],
      },
      {
        title: 'Bytes appended',
        unit: 'Bps',
        queries: [query(rate('appended_bytes_total', 'instance'), '{{instance}}')],
      },
      {
        title: 'Time of a commit',
        unit: 's',
        queries: [
          query(`instance:millrace_commit_seconds:p50_5m{${ours}}`, '{{instance}} median'),
          query(`instance:millrace_commit_seconds:p99_5m{${ours}}`, '{{instance}} 99 %'),
        ],
      },
      {
        title: 'Commits',
        unit: 'cps',
        queries: [query(rate('commits_total', 'instance'), '{{instance}}')],
      },
      {
        title: 'Effect sets in a commit',
        description: 'How many writes shared one sync.',
        unit: 'short',
        queries: [
          query(
            `${rate('commit_effect_sets_total', 'instance')} / ${rate('commits_total', 'instance')}`,
            '{{instance}}',
          ),
        ],
      },
      {
        title: 'Share of the commit queue in use',
        unit: 'percentunit',
        queries: [query(`instance:millrace_commit_queue:ratio{${ours}}`, '{{instance}}')],
      },
    ],
  },
  {
    title: 'Requests',
    graphs: [
      {
        title: 'Requests',
        unit: 'reqps',
        queries: [query(rate('request_seconds_count', 'operation'), '{{operation}}')],
      },
      {
        title: 'Time of the slowest 1 %',
        unit: 's',
        queries: [query(`max by (operation) (operation:millrace_request_seconds:p99_5m{${ours}})`, '{{operation}}')],
      },
      {
        title: 'Answers that are errors',
        unit: 'reqps',
        queries: [
          query(
            `sum by (code) (rate(millrace_request_seconds_count{${ours}, code!="ok"}[$__rate_interval]))`,
            '{{code}}',
          ),
        ],
      },
    ],
  },
  {
    title: 'Streams and groups',
    graphs: [
      {
        title: 'Open shards',
        unit: 'short',
        stacked: true,
        queries: [query(`sum by (stream) (millrace_shards_open{${ours}})`, '{{stream}}')],
      },
      {
        title: 'Splits, merges, parks',
        description: 'Each with its reason; parked is a shard that is too hot and that no split would relieve.',
        unit: 'short',
        queries: [
          query(`sum by (reason) (increase(millrace_splits_total{${ours}}[$__rate_interval]))`, 'split: {{reason}}'),
          query(`sum by (reason) (increase(millrace_merges_total{${ours}}[$__rate_interval]))`, 'merge: {{reason}}'),
          query(`sum by (reason) (increase(millrace_parks_total{${ours}}[$__rate_interval]))`, 'park: {{reason}}'),
        ],
      },
      {
        title: 'Load of the hottest shard',
        description: '1 is the target of a shard.',
        unit: 'short',
        queries: [query(`max by (stream) (millrace_shard_load{${ours}})`, '{{stream}}')],
      },
      {
        title: 'Lag of groups in time',
        unit: 's',
        queries: [query(`max by (group) (millrace_group_lag_seconds{${ours}})`, '{{group}}')],
      },
      {
        title: 'Lag of groups in records',
        description: 'An upper bound.',
        unit: 'short',
        queries: [query(`max by (group) (millrace_group_lag_records{${ours}})`, '{{group}}')],
      },
      {
        title: 'Reads of the log',
        unit: 'reqps',
        stacked: true,
        queries: [query(rate('log_reads_total', 'source'), 'from the {{source}}')],
      },
      {
        title: 'Queries',
        description: 'Those for whole items, which the cache of answers can hold.',
        unit: 'reqps',
        stacked: true,
        queries: [query(rate('query_reads_total', 'source'), 'from the {{source}}')],
      },
    ],
  },
  {
    title: 'Pipelines',
    graphs: [
      {
        title: 'Records into steps',
        unit: 'cps',
        queries: [query(rate('operator_records_in_total', 'pipeline, step'), '{{pipeline}}: {{step}}')],
      },
      {
        title: 'Records into sinks',
        unit: 'cps',
        queries: [query(rate('sink_records_total', 'pipeline, step'), '{{pipeline}}: {{step}}')],
      },
      {
        title: 'Worker threads in use',
        unit: 'short',
        stacked: true,
        queries: [query(rate('operator_seconds_total', 'pipeline'), '{{pipeline}}')],
      },
      {
        title: 'Time of the newest barrier',
        unit: 's',
        queries: [query(`max by (pipeline) (millrace_pipeline_barrier_seconds{${ours}})`, '{{pipeline}}')],
      },
      {
        title: 'Failures',
        unit: 'short',
        queries: [
          query(
            `sum by (pipeline) (increase(millrace_operator_failures_total{${ours}}[$__rate_interval]))`,
            '{{pipeline}}',
          ),
          query(`sum(increase(millrace_worker_restarts_total{${ours}}[$__rate_interval]))`, 'threads replaced'),
        ],
      },
      {
        title: 'Stopped as failed',
        unit: 'short',
        queries: [query(`max by (pipeline) (millrace_pipeline_failed{${ours}})`, '{{pipeline}}')],
      },
    ],
  },
  {
    title: 'Bridges',
    graphs: [
      {
        title: 'Records acknowledged',
        unit: 'cps',
        queries: [query(rate('bridge_records_total', 'bridge'), '{{bridge}}')],
      },
      {
        title: 'Lag',
        unit: 's',
        queries: [query(`max by (bridge) (millrace_bridge_lag_seconds{${ours}})`, '{{bridge}}')],
      },
      {
        title: 'Records not delivered',
        unit: 'short',
        queries: [query(`max by (bridge) (millrace_bridge_lag_records{${ours}})`, '{{bridge}}')],
      },
      {
        title: 'Bytes sent',
        description: 'Before compression.',
        unit: 'Bps',
        queries: [query(rate('bridge_sent_bytes_total', 'bridge'), '{{bridge}}')],
      },
      {
        title: 'State',
        description: '1 where it holds.',
        unit: 'short',
        queries: [
          query(`max by (bridge) (millrace_bridge_failed{${ours}})`, '{{bridge}} failed'),
          query(`max by (bridge) (millrace_bridge_paused{${ours}})`, '{{bridge}} paused'),
        ],
      },
      {
        title: 'Waiting for a broker',
        unit: 's',
        queries: [query(`max by (bridge) (millrace_bridge_waiting_seconds{${ours}})`, '{{bridge}}')],
      },
      {
        title: 'Failed attempts',
        unit: 'short',
        queries: [
          query(`sum by (bridge) (increase(millrace_bridge_errors_total{${ours}}[$__rate_interval]))`, '{{bridge}}'),
        ],
      },
    ],
  },
  {
    title: 'Disk and process',
    graphs: [
      {
        title: 'Store',
        unit: 'bytes',
        queries: [
          query(`millrace_store_bytes{${ours}, kind="files"}`, '{{instance}} table files'),
          query(`millrace_store_compaction_pending_bytes{${ours}}`, '{{instance}} to be compacted'),
        ],
      },
      {
        title: 'Free disk',
        unit: 'bytes',
        queries: [
          query(`millrace_storage_free_bytes{${ours}}`, '{{instance}}'),
          query(`millrace_storage_free_bytes_min{${ours}}`, '{{instance}} writes are refused below'),
        ],
      },
      {
        title: 'Log kept',
        unit: 'bytes',
        stacked: true,
        queries: [query(`sum by (stream) (millrace_log_bytes{${ours}})`, '{{stream}}')],
      },
      {
        title: 'Trimmed',
        unit: 'Bps',
        queries: [query(rate('trimmed_bytes_total', 'instance'), '{{instance}}')],
      },
      {
        title: 'Items deleted by time to live',
        unit: 'ops',
        queries: [query(rate('ttl_deleted_total', 'instance'), '{{instance}}')],
      },
      {
        title: 'Time to live, behind',
        description: 'How long the oldest item has been due that is still there.',
        unit: 's',
        queries: [query(`max by (instance) (millrace_ttl_lag_seconds{${ours}})`, '{{instance}}')],
      },
      {
        title: 'Held past retention',
        description: 'By groups that lag.',
        unit: 'bytes',
        queries: [query(`max by (stream) (millrace_retention_held_bytes{${ours}})`, '{{stream}}')],
      },
      {
        title: 'Groups overtaken by retention',
        unit: 'short',
        queries: [
          query(
            `sum by (instance) (increase(millrace_groups_trimmed_total{${ours}}[$__rate_interval]))`,
            '{{instance}}',
          ),
          query(`max by (group) (millrace_group_trimmed{${ours}})`, '{{group}} must seek'),
        ],
      },
      {
        title: 'Memory',
        unit: 'bytes',
        queries: [
          query(`millrace_process_resident_memory_bytes{${ours}}`, '{{instance}} resident'),
          query(`millrace_process_memory_bytes{${ours}}`, '{{instance}} {{kind}}'),
          query(`millrace_tail_cache_bytes{${ours}}`, '{{instance}} tail cache'),
        ],
      },
      {
        title: 'Processors in use',
        unit: 'short',
        queries: [query(rate('process_cpu_seconds_total', 'instance'), '{{instance}}')],
      },
      {
        title: 'Lateness of the main thread',
        unit: 's',
        queries: [query(`millrace_event_loop_lag_seconds{${ours}}`, '{{instance}} {{percentile}} %')],
      },
    ],
  },
]
