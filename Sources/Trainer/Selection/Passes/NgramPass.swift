internal import Formats

/// The pass that counts the words of all documents that are chosen from, and of the task.
struct NgramPass {
    let run: SelectionRun
    let clusters: Clusters
    let cleaner: TextCleaner
    let choice: DocumentChoice

    /// The weights of words and pairs.
    func carryOut() throws(UserFacingError) -> NgramWeights {
        var hasher = NgramHasher()
        var task = [Int](repeating: 0, count: NgramHasher.buckets)
        try choice.forEachText(run.settings) { text throws(UserFacingError) in
            for bucket in hasher.buckets(of: text) { task[bucket] += 1 }
        }
        return NgramWeights(task: task, documents: try documents())
    }

    /// How often each bucket occurs in the documents.
    private func documents() throws(UserFacingError) -> [Int] {
        let path = run.places.file("ngrams")
        if !FileSystem.exists(path) {
            let sums = Guarded([Int](repeating: 0, count: NgramHasher.buckets))
            try run.forEachPart(.words) { part throws(UserFacingError) in
                var hasher = NgramHasher()
                var counts = [Int](repeating: 0, count: NgramHasher.buckets)
                try run.forEachCandidate(of: part, clusters, cleaner) { _, text throws(UserFacingError) in
                    for bucket in hasher.buckets(of: text) { counts[bucket] += 1 }
                }
                sums.withLock { sums in for bucket in counts.indices { sums[bucket] += counts[bucket] } }
            }
            let writer = try NumberRowsWriter(path: path)
            try writer.append(sums.withLock { $0 }.map(Double.init))
            try writer.finish()
        }
        var counts: [Int] = []
        try NumberRows(path: path, columns: NgramHasher.buckets, rows: 1).forEach {
            counts = $0.map { Int($0) }
        }
        return counts
    }
}
