internal import Formats

/// The pass that measures what a text alone tells of documents: the weight of its words, and its bytes.
struct ScorePass {
    let run: SelectionRun
    let clusters: Clusters
    let cleaner: TextCleaner
    let weights: NgramWeights?

    /// What stands in a row of a part's file.
    struct Row {
        var ngrams: Double
        /// The bytes of the text.
        var bytes: Double

        static let columns = 2
        var numbers: [Double] { [ngrams, bytes] }
        init(ngrams: Double, bytes: Double) { (self.ngrams, self.bytes) = (ngrams, bytes) }
        init(_ numbers: [Double]) { (ngrams, bytes) = (numbers[0], numbers[1]) }
    }

    /// Writes a file a part.
    func carryOut() throws(UserFacingError) {
        try run.forEachPart(.scores) { part throws(UserFacingError) in
            let path = run.places.scores(part)
            guard !FileSystem.exists(path) else { return }
            let writer = try NumberRowsWriter(path: path)
            var hasher = NgramHasher()
            try run.forEachCandidate(of: part, clusters, cleaner) { _, text throws(UserFacingError) in
                let row = Row(
                    ngrams: weights?.score(hasher.buckets(of: text)) ?? 0, bytes: Double(text.count))
                try writer.append(row.numbers)
            }
            try writer.finish()
        }
    }
}
