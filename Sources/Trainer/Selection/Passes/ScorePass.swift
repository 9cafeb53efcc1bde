internal import Formats

/// The pass that measures what a text alone tells of documents: the weight of its words, its bytes, its date.
struct ScorePass {
    let run: SelectionRun
    let clusters: Clusters
    let cleaner: TextCleaner
    let choice: DocumentChoice
    let weights: NgramWeights?

    /// What stands in a row of a part's file.
    struct Row {
        var ngrams: Double
        /// The same by word and pair; no number where there are none.
        var ngramsMean: Double
        /// The bytes of the text.
        var bytes: Double
        /// The day of its date since 1970; no number where it has none, infinite where that can't be read.
        var day: Double
        /// Which of the part's topics it has.
        var topic: Double
        var entropy: Double

        static let columns = 6
        var numbers: [Double] { [ngrams, ngramsMean, bytes, day, topic, entropy] }

        init(
            ngrams: (sum: Double, count: Int), bytes: Double, topic: Int, entropy: Double,
            date: DocumentDates.Finding?
        ) {
            (self.ngrams, self.bytes, self.topic, self.entropy) = (ngrams.sum, bytes, Double(topic), entropy)
            ngramsMean = ngrams.count > 0 ? ngrams.sum / Double(ngrams.count) : .nan
            day =
                switch date {
                case .day(let day): Double(day.number)
                case .unreadable: .infinity
                case .missing, nil: .nan
                }
        }

        init(_ numbers: [Double]) {
            (ngrams, ngramsMean, bytes) = (numbers[0], numbers[1], numbers[2])
            (day, topic, entropy) = (numbers[3], numbers[4], numbers[5])
        }
    }

    /// Writes a file a part.
    func carryOut() throws(UserFacingError) {
        try run.forEachPart(.scores) { part throws(UserFacingError) in
            let path = run.places.scores(part)
            guard !FileSystem.exists(path) else { return }
            let writer = try NumberRowsWriter(path: path)
            var (hasher, topics) = (NgramHasher(), Topics())
            let (varied, tags) = (ClassEntropy(), choice.tagsField.map { DocumentField($0) })
            let asksEntropy = choice.measures.contains(.entropy)
            let field = choice.topicField.map { DocumentField($0) }
            try run.forEachCandidate(of: part, clusters, cleaner) { document, text throws(UserFacingError) in
                let row = Row(
                    ngrams: weights.map { weights in
                        let buckets = hasher.buckets(of: text)
                        return (weights.score(buckets), buckets.count)
                    } ?? (0, 0), bytes: Double(text.count),
                    topic: try field.map { field throws(UserFacingError) in
                        try topics.number(of: field.value(of: document.place, in: document.batch))
                    } ?? 0,
                    entropy: !asksEntropy
                        ? 0
                        : tags.map {
                            varied.entropy(ofTags: $0.value(of: document.place, in: document.batch))
                        }
                            ?? varied.entropy(of: text),
                    date: run.settings.dates?.date(of: document))
                try writer.append(row.numbers)
            }
            if choice.topicField != nil {
                try AtomicFile(path: run.places.topics(part)).publish(topics.json.serialized())
            }
            try writer.finish()
        }
    }
}
