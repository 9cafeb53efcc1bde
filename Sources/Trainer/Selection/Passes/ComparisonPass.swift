internal import Formats

/// The pass that joins documents which are the same, or nearly so, by keys that are sorted on the disk.
struct ComparisonPass {
    let run: SelectionRun

    /// Which documents are the same, and which nearly so.
    func carryOut() throws(UserFacingError) -> Clusters {
        let (settings, places, parts) = (run.settings, run.places, run.parts)
        run.work.begin(.keys)
        // How many documents, and how many of them are compared.
        var starts = [0]
        var compared = 0
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            var count = 0
            while let block = try reader.next() {
                count += block.documents.count
                compared += block.keys.count
            }
            starts.append((starts.last ?? 0) + count)
        }
        let total = starts.last ?? 0
        guard total < Int(SelectionLedger.noDocument) else { throw .tooManyDocuments(total) }
        var clusters = Clusters(count: total, starts: starts)
        if settings.dropsDuplicates {
            clusters = try joined(clusters, keys: compared) {
                $0.fingerprint == .none ? [] : [$0.fingerprint]
            }
            clusters.keepAsDuplicates()
        }
        if settings.dropsNearDuplicates {
            clusters = try joined(clusters, keys: compared * MinHash.bands) { $0.bands }
        }
        return clusters
    }

    /// Joins documents that have a key in common.
    private func joined(
        _ clusters: Clusters, keys count: Int, _ keys: (DocumentKeys) -> [Fingerprint]
    ) throws(UserFacingError) -> Clusters {
        let buckets = try KeyBuckets(path: run.places.file("keys"), expecting: count)
        for part in 0..<run.parts.count {
            var reader = try SelectionPartReader(path: run.places.part(part))
            while let block = try reader.next() {
                for document in block.keys {
                    let number = clusters.starts[part] + Int(document.index)
                    guard !clusters.isDuplicate(number) else { continue }
                    for print in keys(document) {
                        try buckets.append(print.high, UInt64(print.low) << 32 | UInt64(number))
                    }
                }
            }
            try run.work.check()
        }
        let reading = try buckets.finish()
        let guarded = Guarded(clusters)
        _ = try mapConcurrently(reading.count, threads: run.threads) { bucket throws(UserFacingError) in
            try run.work.check()
            var table = PairTable(for: reading.pairCount(bucket))
            var edges: [(UInt32, UInt32)] = []
            try reading.forEach(of: bucket) { key, value in
                let number = UInt32(truncatingIfNeeded: value)
                if let first = table.first(key, UInt32(truncatingIfNeeded: value >> 32), number) {
                    edges.append((first, number))
                }
            }
            guarded.withLock { clusters in
                for (first, number) in edges { clusters.join(Int(first), Int(number)) }
            }
        }
        return guarded.withLock { $0 }
    }
}

/// Documents joined where they have a key in common; the first stands for all.
struct Clusters: Sendable {
    /// Where each part's documents begin.
    let starts: [Int]
    /// In how many keys a document had an earlier one's.
    private(set) var hits: [UInt8]
    private var parents: [UInt32]
    /// The first document that is the same; empty where that was not asked for.
    private var firsts: [UInt32] = []

    init(count: Int, starts: [Int]) {
        self.starts = starts
        parents = (0..<UInt32(count)).map(\.self)
        hits = [UInt8](repeating: 0, count: count)
    }

    /// The first document of the cluster that a document is in.
    func root(_ document: Int) -> Int {
        var root = document
        while Int(parents[root]) != root { root = Int(parents[root]) }
        return root
    }

    /// Joins the clusters of two documents, of which the second came later.
    mutating func join(_ first: Int, _ second: Int) {
        if hits[second] < .max { hits[second] += 1 }
        let (one, two) = (shortenedRoot(first), shortenedRoot(second))
        if one < two { parents[two] = UInt32(one) } else { parents[one] = UInt32(two) }
    }

    private mutating func shortenedRoot(_ document: Int) -> Int {
        var node = document
        while Int(parents[node]) != node {
            parents[node] = parents[Int(parents[node])]
            node = Int(parents[node])
        }
        return node
    }

    /// Takes what is joined for documents that are the same, and begins anew.
    mutating func keepAsDuplicates() {
        firsts = (0..<parents.count).map { UInt32(root($0)) }
        self = Clusters(count: parents.count, starts: starts, firsts: firsts)
    }

    private init(count: Int, starts: [Int], firsts: [UInt32]) {
        self.init(count: count, starts: starts)
        self.firsts = firsts
    }

    /// The first document that is the same; nil where that is this one.
    func duplicate(of document: Int) -> Int? {
        guard !firsts.isEmpty, Int(firsts[document]) != document else { return nil }
        return Int(firsts[document])
    }

    /// Whether a document equals no earlier one.
    func isFirst(_ document: Int) -> Bool { !isDuplicate(document) && root(document) == document }

    func isDuplicate(_ document: Int) -> Bool { duplicate(of: document) != nil }
}

extension UserFacingError {
    /// There are more documents than numbers for them.
    static func tooManyDocuments(_ count: Int) -> Self {
        Self(
            .unsupported,
            "\(count) documents are more than one selection takes (4,294,967,294); select parts of the files by themselves"
        )
    }
}
