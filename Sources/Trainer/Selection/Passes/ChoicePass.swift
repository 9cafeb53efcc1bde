internal import Formats
internal import Foundation

/// What was chosen of the documents that nothing has dropped.
struct Choice: Sendable {
    /// The documents, by their numbers.
    var numbers: [UInt32] = []
    /// How many of them each part has.
    var counts: [Int] = []
    /// What was measured of each, a list a measure.
    var scores: [[Double]] = []
    /// The place of each in the order in which they are taken, from 1.
    var ranks: [UInt32] = []
    var isChosen: [Bool] = []
    /// The group of each, where they are spread over groups, and what groups are called.
    var groups: [UInt32] = []
    var groupNames: [String] = []
    /// The day of each, since 1970, where age counts: no number where it has none, infinite where that can't be read.
    var days: [Double] = []
    /// How much of the amount each takes: documents, bytes or tokens.
    var sizes: [Int] = []

    /// How many of the amount were taken.
    var taken: Int { zip(isChosen, sizes).reduce(0) { $0 + ($1.0 ? $1.1 : 0) } }
}

/// The pass over what was measured, which chooses.
struct ChoicePass {
    let run: SelectionRun
    let clusters: Clusters
    let cleaner: TextCleaner
    let choice: DocumentChoice
    let model: DocumentModel?

    /// Measures and chooses.
    ///
    /// - Throws: ``UserFacingError`` when something can't be read or when no document can be chosen.
    func carryOut() throws(UserFacingError) -> Choice {
        var chosen = Choice()
        for part in 0..<run.parts.count {
            let start = clusters.starts[part]
            let candidates = try run.candidates(of: part, clusters)
            chosen.numbers += candidates.map { UInt32(start) + $0 }
            chosen.counts.append(candidates.count)
        }
        guard !chosen.numbers.isEmpty else { throw .nothingToChooseFrom(clusters.starts.last ?? 0) }
        try measure(&chosen)
        let keys = try keys(of: chosen)
        let order = Ranking.order(keys)
        chosen.ranks = [UInt32](repeating: 0, count: order.count)
        for (place, index) in order.enumerated() { chosen.ranks[index] = UInt32(place + 1) }
        chosen.isChosen = [Bool](repeating: false, count: order.count)
        for index in try taken(order, keys, &chosen) { chosen.isChosen[index] = true }
        guard chosen.isChosen.contains(true) else {
            throw .tooSmallBudget(least: chosen.sizes.min() ?? 0)
        }
        return chosen
    }

    /// Which documents are taken, of all in their order.
    private func taken(
        _ order: [Int], _ keys: [Double], _ chosen: inout Choice
    ) throws(UserFacingError) -> [Int] {
        var allowance = Allowance(choice.amount, of: order.count)
        if case .clusters(let count) = choice.spread { try cluster(&chosen, count) }
        if case .marginal(let balance) = choice.spread {
            return try marginal(order, keys, chosen, balance, &allowance)
        }
        guard choice.spread != nil else { return order.filter { allowance.take(chosen.sizes[$0]) } }
        return Ranking.taken(order, groups: chosen.groups, sizes: chosen.sizes, from: allowance)
    }

    /// Takes documents by maximal marginal relevance, of as many of the first as memory compares.
    private func marginal(
        _ order: [Int], _ keys: [Double], _ chosen: Choice, _ balance: Double, _ allowance: inout Allowance
    ) throws(UserFacingError) -> [Int] {
        let embeddings = try embeddings(of: chosen)
        let most = max(1, MarginalRelevance.mostBytes / (4 * embeddings.width))
        let pool = order.prefix(most).sorted()
        if case .share = choice.amount, allowance.left > most { throw .tooManyToCompare(most) }
        run.work.begin(.marginal)
        var vectors: [Float] = []
        for index in pool { vectors += try embeddings[index] }
        let relevance = relevance(of: chosen, keys)
        let method = MarginalRelevance(
            relevance: pool.map { relevance[$0] }, vectors: vectors, width: embeddings.width,
            balance: balance,
            threads: run.threads)
        var left = allowance
        let taken = try method.taken(
            { left.take(chosen.sizes[pool[$0]]) }, until: { left.left == 0 }, run.work.check)
        guard left.left == 0 || pool.count == order.count || taken.count < pool.count else {
            throw .tooManyToCompare(most)
        }
        return taken.map { pool[$0] }
    }

    /// How relevant documents are, beside cosines: the similarity itself, else their standing, and what age leaves of it.
    private func relevance(of chosen: Choice, _ keys: [Double]) -> [Double] {
        if choice.halfLife != nil { return keys.map { $0.isNaN ? 0 : exp($0) } }
        if choice.measures == [.similarity] { return chosen.scores[0].map { $0.isNaN ? 0 : $0 } }
        return Ranking.standings(keys)
    }

    /// Gives each document the cluster of its embedding.
    private func cluster(_ chosen: inout Choice, _ count: Int) throws(UserFacingError) {
        guard count <= chosen.numbers.count else {
            throw .tooManyClusters(count, documents: chosen.numbers.count)
        }
        let embeddings = try embeddings(of: chosen)
        run.work.begin(.clusters)
        let means = try KMeans(of: embeddings, count: count, seed: choice.seed, run.work.check)
        chosen.groups = try means.clusters(of: embeddings, threads: run.threads, run.work.check)
        chosen.groupNames = (0..<count).map { "cluster \($0)" }
    }

    private func embeddings(of chosen: Choice) throws(UserFacingError) -> Embeddings {
        try Embeddings(
            paths: chosen.counts.indices.map(run.places.embeddings), counts: chosen.counts,
            width: model?.width ?? 0)
    }

    /// What documents are ordered by: a score; of several the mean standing; where age counts or they are drawn, the logarithm of
    /// their weight, with Gumbel's noise in a draw.
    private func keys(of chosen: Choice) throws(UserFacingError) -> [Double] {
        let (scores, count, ages) = (chosen.scores, chosen.numbers.count, choice.halfLife != nil)
        guard choice.isSampled || ages else { return Ranking.combined(scores, count: count) }
        var weights =
            choice.measures == [.ngrams] && !ages
            ? scores[0] : Ranking.logarithmicWeights(scores, count: count, standing: ages)
        if let halfLife = choice.halfLife, let dates = run.settings.dates {
            let newest = dates.until.map { Double($0.number) }
            guard let decay = Ranking.logarithmicDecay(chosen.days, halfLife: halfLife, newest: newest) else {
                throw .noDates(field: dates.field, count: count)
            }
            for index in weights.indices { weights[index] += decay[index] }
        }
        guard choice.isSampled else { return weights }
        return zip(weights, chosen.numbers).map { $0 + Ranking.gumbel(seed: choice.seed, document: $1) }
    }

    /// Has the passes measure that are needed, and reads what they have left.
    private func measure(_ chosen: inout Choice) throws(UserFacingError) {
        let weights =
            choice.measures.contains(where: \.needsWords)
            ? try NgramPass(run: run, clusters: clusters, cleaner: cleaner, choice: choice).carryOut() : nil
        if choice.readsTexts {
            try ScorePass(run: run, clusters: clusters, cleaner: cleaner, choice: choice, weights: weights)
                .carryOut()
        }
        if let model {
            try ModelPass(run: run, clusters: clusters, cleaner: cleaner, choice: choice, model: model)
                .carryOut()
        }
        chosen.scores = choice.measures.map { _ in [] }
        var topics = Topics()
        for (part, rows) in chosen.counts.enumerated() {
            var texts: [ScorePass.Row] = []
            if choice.readsTexts {
                try NumberRows(path: run.places.scores(part), columns: ScorePass.Row.columns, rows: rows)
                    .forEach { texts.append(ScorePass.Row($0)) }
            }
            var models: [ModelPass.Row] = []
            if model != nil {
                try NumberRows(path: run.places.measures(part), columns: ModelPass.Row.columns, rows: rows)
                    .forEach { models.append(ModelPass.Row($0)) }
            }
            for (number, measure) in choice.measures.enumerated() {
                switch measure {
                case .similarity: chosen.scores[number] += models.map(\.similarity)
                case .ngramsMean: chosen.scores[number] += texts.map(\.ngramsMean)
                case .ngrams: chosen.scores[number] += texts.map(\.ngrams)
                case .perplexity: chosen.scores[number] += models.map(\.perplexity)
                case .entropy: chosen.scores[number] += texts.map(\.entropy)
                case .bitsPerByte: chosen.scores[number] += models.map(\.bitsPerByte)
                }
            }
            if choice.topicField != nil {
                let names = try JSON.read(path: run.places.topics(part)).array ?? []
                var numbers: [UInt32] = []
                for name in names {
                    numbers.append(UInt32(try topics.number(of: name.string ?? Topics.none)))
                }
                for row in texts {
                    guard numbers.indices.contains(Int(row.topic)) else {
                        throw .brokenPart(path: run.places.topics(part))
                    }
                    chosen.groups.append(numbers[Int(row.topic)])
                }
            }
            if choice.halfLife != nil { chosen.days += texts.map(\.day) }
            switch choice.amount {
            case .share: chosen.sizes += [Int](repeating: 1, count: rows)
            case .bytes: chosen.sizes += texts.map { Int($0.bytes) }
            case .tokens: chosen.sizes += models.map { Int($0.tokens) }
            }
        }
        chosen.groupNames = topics.names
        if let field = choice.topicField, topics.names == [Topics.none] {
            throw .noTopics(field: field, count: chosen.numbers.count)
        }
        if let field = choice.tagsField, let entropy = choice.measures.firstIndex(of: .entropy),
            !chosen.numbers.isEmpty, chosen.scores[entropy].allSatisfy({ !($0 > 0) })
        {
            throw .noTags(field: field, count: chosen.numbers.count)
        }
    }
}

extension SelectionRun {
    /// The documents of a part that nothing has dropped, by their numbers in it.
    func candidates(of part: Int, _ clusters: Clusters) throws(UserFacingError) -> [UInt32] {
        var candidates: [UInt32] = []
        var reader = try SelectionPartReader(path: places.part(part))
        while let block = try reader.next() {
            for document in block.keys
            where clusters.isFirst(clusters.starts[part] + Int(document.index)) {
                candidates.append(document.index)
            }
        }
        return candidates
    }

    /// Reads the documents of a part that nothing has dropped.
    ///
    /// - Parameters:
    ///   - part: which.
    ///   - clusters: which documents are the same.
    ///   - cleaner: what cleans them.
    ///   - visit: is given each, with its text as it was cleaned.
    /// - Throws: ``UserFacingError`` when the file can't be read or has changed, and what `visit` throws.
    func forEachCandidate(
        of part: Int, _ clusters: Clusters, _ cleaner: TextCleaner,
        _ visit: (Document, [UInt8]) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let candidates = try candidates(of: part, clusters)
        guard !candidates.isEmpty else { return }
        var (next, findings, counts) = (0, TextFindings(), TextCleaner.Counts())
        _ = try forEachDocument(of: part, noting: &findings) { document throws(UserFacingError) in
            guard next < candidates.count, Int(candidates[next]) == document.index else { return }
            next += 1
            let key = Self.key(part, document.index)
            try visit(document, cleaner.clean(document.text, key: key, counting: &counts))
        }
        guard next == candidates.count else {
            throw .changedFile(path: parts.files[parts.fileNumber(of: part)].path)
        }
    }
}

extension UserFacingError {
    /// All documents were dropped before any could be chosen.
    fileprivate static func nothingToChooseFrom(_ count: Int) -> Self {
        Self(
            .inconsistent,
            "no document is left to choose from: rules, copies and evaluations drop all \(count); see what they drop without choosing, or ask fewer rules (--without, --rules none)"
        )
    }

    /// Age can't count where no document has one.
    fileprivate static func noDates(field: String, count: Int) -> Self {
        Self(
            .inconsistent,
            "--half-life goes by dates, and none of \(count) documents has one that can be read as '\(field)'; name the key of their dates: --date-field"
        )
    }

    /// A choice goes by topics, and there is none.
    fileprivate static func noTopics(field: String, count: Int) -> Self {
        Self(
            .inconsistent,
            "--topic-field goes by topics, and none of \(count) documents has a text, a number or a truth value under '\(field)'; name the key of their topics"
        )
    }

    /// A choice goes by how tags are mixed, and there are none.
    fileprivate static func noTags(field: String, count: Int) -> Self {
        Self(
            .inconsistent,
            "--tags-field goes by how a document's tags are mixed, and none of \(count) documents has two different ones under '\(field)': a list of texts, or a text of words; name the key of their tags"
        )
    }

    /// More would be compared than memory holds.
    fileprivate static func tooManyToCompare(_ most: Int) -> Self {
        Self(
            .request,
            "--mmr compares the first \(most) documents, and that is not enough of them; choose less, or spread over --clusters"
        )
    }

    /// Clusters would be empty.
    fileprivate static func tooManyClusters(_ count: Int, documents: Int) -> Self {
        Self(
            .request, "--clusters \(count) are more than the \(documents) documents that are left; give fewer"
        )
    }

    /// Not even the smallest document fits.
    fileprivate static func tooSmallBudget(least: Int) -> Self {
        Self(.request, "no document fits into --budget; the smallest takes \(least): give that at least")
    }
}
