internal import Formats

/// The pass that measures what a text alone tells of documents: the weight of its words, its bytes, its date.
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
        /// The day of its date since 1970; no number where it has none, infinite where that can't be read.
        var day: Double

        static let columns = 3
        var numbers: [Double] { [ngrams, bytes, day] }

        init(ngrams: Double, bytes: Double, date: DocumentDates.Finding?) {
            (self.ngrams, self.bytes) = (ngrams, bytes)
            day =
                switch date {
                case .day(let day): Double(day.number)
                case .unreadable: .infinity
                case .missing, nil: .nan
                }
        }

        init(_ numbers: [Double]) { (ngrams, bytes, day) = (numbers[0], numbers[1], numbers[2]) }
    }

    /// Writes a file a part.
    func carryOut() throws(UserFacingError) {
        try run.forEachPart(.scores) { part throws(UserFacingError) in
            let path = run.places.scores(part)
            guard !FileSystem.exists(path) else { return }
            let writer = try NumberRowsWriter(path: path)
            var hasher = NgramHasher()
            try run.forEachCandidate(of: part, clusters, cleaner) { document, text throws(UserFacingError) in
                let row = Row(
                    ngrams: weights?.score(hasher.buckets(of: text)) ?? 0, bytes: Double(text.count),
                    date: run.settings.dates?.date(of: document))
                try writer.append(row.numbers)
            }
            try writer.finish()
        }
    }
}
