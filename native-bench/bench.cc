// The ceiling: the same chunks, keys and syncs as Millrace's commit path, in C++ on RocksDB, and a plain synced file.
#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

static double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

static void check(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

// Records of 200 bytes, half of each random and half repeating, as bench/append.mjs makes them.
static std::string chunk_of(size_t bytes) {
  std::mt19937_64 random(7);
  std::string chunk;
  while (chunk.size() < bytes) {
    for (int i = 0; i < 100; i++) chunk.push_back(static_cast<char>('a' + random() % 26));
    chunk += "{\"name\":\"value\",\"repeats\":\"in every record\",\"of\":\"the stream\"}.....................................";
  }
  chunk.resize(bytes);
  return chunk;
}

static std::string key_of(uint32_t segment, uint32_t shard, uint64_t last) {
  std::string key(17, '\5');
  for (int i = 0; i < 4; i++) key[1 + i] = static_cast<char>(segment >> (24 - 8 * i));
  for (int i = 0; i < 4; i++) key[5 + i] = static_cast<char>(shard >> (24 - 8 * i));
  for (int i = 0; i < 8; i++) key[9 + i] = static_cast<char>(last >> (56 - 8 * i));
  return key;
}

struct Result {
  double megabytes_per_second, p50, p99;
};

static Result summary(std::vector<double>& times, double bytes, double seconds) {
  std::sort(times.begin(), times.end());
  auto at = [&](double q) { return 1000 * times[std::min(times.size() - 1, static_cast<size_t>(times.size() * q))]; };
  return {bytes / 1e6 / seconds, at(0.5), at(0.99)};
}

static Result rocks(const std::string& folder, size_t commit_bytes, int shards, double seconds, double* replay) {
  std::filesystem::remove_all(folder);
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 64 << 20;
  options.compression = rocksdb::kSnappyCompression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(64 << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  rocksdb::DB* db;
  check(rocksdb::DB::Open(options, folder, &db));
  rocksdb::WriteOptions write;
  write.sync = true;
  const std::string chunk = chunk_of(commit_bytes / shards);
  std::vector<double> times;
  double bytes = 0;
  uint64_t sequence = 0;
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    rocksdb::WriteBatch batch;
    const uint32_t segment = static_cast<uint32_t>(bytes / (64 << 20));
    for (int shard = 0; shard < shards; shard++) batch.Put(key_of(segment, shard, sequence++), chunk);
    const auto began = Clock::now();
    check(db->Write(write, &batch));
    times.push_back(seconds_since(began));
    bytes += chunk.size() * shards;
  }
  const Result result = summary(times, bytes, seconds_since(start));
  const auto read = Clock::now();
  double read_bytes = 0;
  rocksdb::Iterator* iterator = db->NewIterator(rocksdb::ReadOptions());
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) read_bytes += iterator->value().size();
  check(iterator->status());
  delete iterator;
  *replay = read_bytes / 1e6 / seconds_since(read);
  delete db;
  std::filesystem::remove_all(folder);
  return result;
}

static Result plain(const std::string& path, size_t commit_bytes, double seconds) {
  const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  const std::string chunk = chunk_of(commit_bytes);
  std::vector<double> times;
  double bytes = 0;
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    const auto began = Clock::now();
    if (write(file, chunk.data(), chunk.size()) != static_cast<ssize_t>(chunk.size()) || fdatasync(file) != 0) {
      std::perror(path.c_str());
      std::exit(1);
    }
    times.push_back(seconds_since(began));
    bytes += chunk.size();
  }
  const Result result = summary(times, bytes, seconds_since(start));
  close(file);
  unlink(path.c_str());
  return result;
}

int main(int argc, char** argv) {
  double seconds = 3;
  bool json = false;
  std::string folder = std::filesystem::temp_directory_path() / ("millrace-native-bench-" + std::to_string(getpid()));
  for (int i = 1; i < argc; i++) {
    if (!std::strcmp(argv[i], "--json")) json = true;
    else if (!std::strcmp(argv[i], "--seconds") && i + 1 < argc) seconds = std::atof(argv[++i]);
    else if (!std::strcmp(argv[i], "--dir") && i + 1 < argc) folder = std::string(argv[++i]) + "/millrace-native-bench";
    else {
      std::fprintf(stderr, "usage: native-bench [--seconds N] [--dir FOLDER] [--json]\n");
      return 2;
    }
  }
  std::filesystem::create_directories(folder);
  if (!json) std::printf("%-10s %-22s %10s %9s %9s %13s\n", "commit", "what", "MB/s", "p50 ms", "p99 ms", "replay MB/s");
  for (size_t kib : {64, 256, 1024}) {
    for (int shards : {1, 64}) {
      double replay;
      const Result result = rocks(folder + "/store", kib * 1024, shards, seconds, &replay);
      const char* what = shards == 1 ? "RocksDB, 1 shard" : "RocksDB, 64 shards";
      if (json) std::printf("{\"commitKiB\":%zu,\"what\":\"%s\",\"megabytesPerSecond\":%.1f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"replayMegabytesPerSecond\":%.1f}\n", kib, what, result.megabytes_per_second, result.p50, result.p99, replay);
      else std::printf("%-10zu %-22s %10.0f %9.2f %9.2f %13.0f\n", kib, what, result.megabytes_per_second, result.p50, result.p99, replay);
    }
    const Result result = plain(folder + "/plain", kib * 1024, seconds);
    if (json) std::printf("{\"commitKiB\":%zu,\"what\":\"plain file\",\"megabytesPerSecond\":%.1f,\"p50Ms\":%.3f,\"p99Ms\":%.3f}\n", kib, result.megabytes_per_second, result.p50, result.p99);
    else std::printf("%-10zu %-22s %10.0f %9.2f %9.2f\n", kib, "plain file, fdatasync", result.megabytes_per_second, result.p50, result.p99);
  }
  std::filesystem::remove_all(folder);
}
