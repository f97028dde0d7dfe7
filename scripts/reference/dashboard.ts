import {
  BigValueColorMode,
  BigValueGraphMode,
  type Dashboard,
  GraphDrawStyle,
  type GraphFieldConfig,
  LegendDisplayMode,
  type Panel,
  type RowPanel,
  SortOrder,
  StackingMode,
  ThresholdsMode,
  TooltipDisplayMode,
  VariableHide,
  VariableRefresh,
  VariableSort,
} from '@grafana/schema'
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen'
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen'
import { type Graph, type Row, rows, type Tile, tiles } from './dashboard-content.js'

const datasource = { type: 'prometheus', uid: '$datasource' }
const columns = 24
const graphHeight = 8
const tileHeight = 4

/** Grafana's dashboard of a daemon, as `config/grafana/millrace.json` has it. */
export function dashboard(): Dashboard {
  return {
    uid: 'millrace',
    title: 'Millrace',
    description: 'One or more Millrace daemons, as config/prometheus scrapes them.',
    tags: ['millrace'],
    schemaVersion: 42,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    templating: { list: variables() },
    annotations: { list: [] },
    links: [],
    panels: [...tilePanels(tiles), ...rows.reduce<Laid>(layRow, { y: tileHeight, panels: [] }).panels],
  }
}

function variables(): NonNullable<NonNullable<Dashboard['templating']>['list']> {
  return [
    { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', hide: VariableHide.dontHide },
    {
      name: 'instance',
      label: 'Daemon',
      type: 'query',
      datasource,
      query: 'label_values(millrace_build_info, instance)',
      refresh: VariableRefresh.onTimeRangeChanged,
      sort: VariableSort.alphabeticalAsc,
      multi: true,
      includeAll: true,
      current: { text: 'All', value: '$__all' },
    },
  ]
}

function tilePanels(list: readonly Tile[]): Panel[] {
  const width = Math.floor(columns / list.length)
  return list.map(({ title, unit, expression, red }, i) => ({
    id: i + 1,
    type: 'stat',
    title,
    datasource,
    gridPos: { x: i * width, y: 0, w: width, h: tileHeight },
    targets: [{ refId: 'A', datasource, expr: expression, instant: false, range: true }],
    fieldConfig: {
      defaults: {
        unit,
        thresholds: {
          mode: ThresholdsMode.Absolute,
          // The first step's value is Grafana's minus infinity, which JSON writes as null.
          steps: [
            { value: null, color: red?.when === 'below' ? 'red' : 'green' },
            ...(red ? [{ value: red.at, color: red.when === 'below' ? 'green' : 'red' }] : []),
          ],
        },
      },
      overrides: [],
    },
    options: {
      reduceOptions: { calcs: ['lastNotNull'] },
      colorMode: red ? BigValueColorMode.Value : BigValueColorMode.None,
      graphMode: BigValueGraphMode.Area,
    } satisfies Partial<StatOptions>,
  }))
}

interface Laid {
  readonly y: number
  readonly panels: readonly (Panel | RowPanel)[]
}

function layRow({ y, panels }: Laid, { title, graphs }: Row): Laid {
  const first = 100 * (1 + panels.filter((panel) => panel.type === 'row').length)
  const row: RowPanel = {
    id: first,
    type: 'row',
    title,
    collapsed: false,
    gridPos: { x: 0, y, w: columns, h: 1 },
    panels: [],
  }
  const width = columns / 3
  const laid = graphs.map((graph, i) =>
    graphPanel(graph, first + 1 + i, { x: (i % 3) * width, y: y + 1 + Math.floor(i / 3) * graphHeight, w: width }),
  )
  return { y: y + 1 + Math.ceil(graphs.length / 3) * graphHeight, panels: [...panels, row, ...laid] }
}

function graphPanel(graph: Graph, id: number, place: { x: number; y: number; w: number }): Panel {
  const { title, description, unit, queries, stacked } = graph
  return {
    id,
    type: 'timeseries',
    title,
    ...(description === undefined ? {} : { description }),
    datasource,
    gridPos: { ...place, h: graphHeight },
    targets: queries.map(({ expression, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource,
      expr: expression,
      legendFormat: legend,
      range: true,
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        custom: {
          drawStyle: GraphDrawStyle.Line,
          fillOpacity: stacked ? 20 : 5,
          stacking: { mode: stacked ? StackingMode.Normal : StackingMode.None, group: 'A' },
        } satisfies GraphFieldConfig,
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: LegendDisplayMode.List, placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
    } satisfies TimeSeriesOptions,
  }
}
