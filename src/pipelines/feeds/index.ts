export type { Feed, FeedPart, FeedProgress, PartBounds } from './feed.js'
export { feedGone } from './feed-rows.js'
export { Feeder } from './feeder.js'
export { closeFeeds, createFeeds, type FeedRooms, feedersOf, newGroupsOf } from './pipeline-feeds.js'
