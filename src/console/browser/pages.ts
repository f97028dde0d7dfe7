import { bridgesPage } from './bridges.js'
import { groupsPage } from './groups.js'
import { overviewPage } from './overview.js'
import type { Page } from './page.js'
import { pipelinesPage } from './pipelines.js'
import { searchPage } from './search.js'
import { shardsPage } from './shards.js'
import { tablesPage } from './tables.js'

/** Every page, in the order of the navigation. The first is where the console begins. */
export const pages: readonly [Page, ...Page[]] = [
  overviewPage,
  shardsPage,
  groupsPage,
  pipelinesPage,
  bridgesPage,
  tablesPage,
  searchPage,
]
