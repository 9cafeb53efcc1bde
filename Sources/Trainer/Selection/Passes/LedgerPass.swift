internal import Formats

/// What is left to be done when every document's fate is known.
struct SelectionPlan: Sendable {
    let ledger: SelectionLedger
    /// Where each part's documents begin, in the ledger and in the output.
    let starts: [Int]
    let offsets: [Int]
    var report: SelectionReport
}

/// The pass over what the others have left, which says of every document what becomes of it.
struct LedgerPass {
    let run: SelectionRun
    let contamination: Contamination?
    let tool: String

    /// Writes the ledger.
    ///
    /// - Parameters:
    ///   - clusters: which documents are the same.
    ///   - choice: what was chosen of those that are left; nil where all are.
    /// - Returns: what is left to be done.
    /// - Throws: ``UserFacingError`` when a file can't be read or written.
    func carryOut(_ clusters: Clusters, _ choice: Choice?) throws(UserFacingError) -> SelectionPlan {
        let (settings, places, parts) = (run.settings, run.places, run.parts)
        var report = SelectionReport(settings, tool: tool)
        var (ledgerParts, firstLine, lastFile): ([SelectionLedger.Part], Int, Int) = ([], 1, -1)
        var found = [Bool](repeating: false, count: contamination?.runCount ?? 0)
        let file = try AtomicFile(path: places.newLedger)
        // The header's size depends on where parts begin, so parts are gone through once more before the records.
        var cap = settings.syntheticCap.map { SyntheticCap(share: $0, seed: settings.seed) }
        var fates = Fates(clusters: clusters, choice: choice, settings: settings)
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            var place = clusters.starts[part]
            while let block = try reader.next() {
                guard cap != nil else { continue }
                for document in block.documents {
                    let fate = fates.fate(of: document, place)
                    if fate.entry.code == 0 {
                        cap?.count(
                            place, bytes: Int(document.textLength),
                            isSynthetic: document.detail.synthesis != nil, rank: fate.rank)
                    }
                    place += 1
                }
            }
            let number = parts.fileNumber(of: part)
            if number != lastFile { (firstLine, lastFile) = (1, number) }
            ledgerParts.append(
                SelectionLedger.Part(file: number, firstDocument: clusters.starts[part], firstLine: firstLine)
            )
            guard var figures = reader.figures else { throw .brokenPart(path: places.part(part)) }
            firstLine += figures.lines
            if figures.findings.skippedLines > 0, report.figures.findings.firstSkipped == nil {
                figures.findings.name(firstSkipped: try parts.firstSkipped(of: part))
            }
            report.figures.add(figures)
            for run in reader.runs where found.indices.contains(Int(run)) { found[Int(run)] = true }
        }
        report.figures.findings.add(parts.findings)
        let head = SelectionLedger.head(
            settings, files: run.fileNames, parts: ledgerParts,
            documents: clusters.starts.last ?? 0, tool: tool, measures: choice.map { _ in measureNames },
            groups: choice?.groupNames ?? [])
        try file.write(head, at: 0)
        var (written, offsets) = (head.count, [0])
        let leftOut = cap?.leftOut() ?? []
        fates = Fates(clusters: clusters, choice: choice, settings: settings)
        var firstUndated: Int?
        let undated = [settings.code(of: .undated), settings.code(of: .unreadableDate)]
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            var (number, length) = (clusters.starts[part], 0)
            while let block = try reader.next() {
                var bytes: [UInt8] = []
                for document in block.documents {
                    var entry = fates.fate(of: document, number).entry
                    if leftOut.contains(number) {
                        entry.code = settings.code(of: .syntheticCap)
                        entry.score = Float(cap?.shareOfAll ?? 0)
                    }
                    if firstUndated == nil, undated.contains(entry.code) { firstUndated = number }
                    report.count(
                        entry, bytes: document.length, text: document.textLength,
                        contaminationCode: settings.code(of: .contamination))
                    if entry.code == 0 { length += Int(document.length) }
                    entry.append(to: &bytes)
                    number += 1
                }
                try file.write(bytes, at: written)
                written += bytes.count
            }
            offsets.append((offsets.last ?? 0) + length)
        }
        if let choice {
            try write(choice, documents: clusters.starts.last ?? 0, to: file, at: written)
            report.choice = run.settings.choice.map { ChoiceFigures(choice, of: $0.amount) }
        }
        try file.publish()
        if let contamination { report.setContamination(contamination, found) }
        let ledger = try SelectionLedger(path: places.newLedger)
        if let choice, firstUndated == nil, let index = choice.days.firstIndex(where: { !$0.isFinite }) {
            firstUndated = Int(choice.numbers[index])
        }
        if let firstUndated {
            let fate = try ledger.fate(of: firstUndated)
            report.undated = "\(fate.file), line \(fate.line)"
        }
        return SelectionPlan(ledger: ledger, starts: clusters.starts, offsets: offsets, report: report)
    }

    /// What becomes of documents one after the other, the cap on synthetic ones left aside.
    private struct Fates {
        let clusters: Clusters
        let choice: Choice?
        let settings: SelectionSettings
        /// How many there were to choose from.
        private var candidate = 0

        init(clusters: Clusters, choice: Choice?, settings: SelectionSettings) {
            (self.clusters, self.choice, self.settings) = (clusters, choice, settings)
        }

        /// What becomes of the next document, and its rank where some were chosen.
        mutating func fate(
            of document: DocumentRecord, _ number: Int
        ) -> (entry: SelectionLedger.Entry, rank: UInt32?) {
            var entry = SelectionLedger.Entry(
                code: document.code, detail: document.detail, score: document.score,
                equal: SelectionLedger.noDocument, line: document.line)
            guard entry.code == 0 else { return (entry, nil) }
            if let first = clusters.duplicate(of: number) {
                (entry.code, entry.score, entry.equal) = (settings.code(of: .duplicate), 1, UInt32(first))
                return (entry, nil)
            }
            let first = clusters.root(number)
            if first != number {
                (entry.code, entry.equal) = (settings.code(of: .nearDuplicate), UInt32(first))
                entry.score = Float(clusters.hits[number]) / Float(MinHash.bands)
                return (entry, nil)
            }
            guard let choice else { return (entry, nil) }
            defer { candidate += 1 }
            if !choice.isChosen[candidate] { entry.code = settings.code(of: .notChosen) }
            return (entry, choice.ranks[candidate])
        }
    }

    private var measureNames: [String] { run.settings.choice.map { $0.measures.map($0.name) } ?? [] }

    /// Writes the table of ranks: see ``SelectionLedger``.
    private func write(
        _ choice: Choice, documents: Int, to file: borrowing AtomicFile, at offset: Int
    ) throws(UserFacingError) {
        var (bytes, offset, candidate): ([UInt8], Int, Int) = ([], offset, 0)
        for number in 0..<documents {
            let isThere = candidate < choice.numbers.count && Int(choice.numbers[candidate]) == number
            bytes.append(number: isThere ? choice.ranks[candidate] : 0)
            bytes.append(number: isThere && !choice.groups.isEmpty ? choice.groups[candidate] : .max)
            for scores in choice.scores {
                bytes.append(number: (isThere ? Float(scores[candidate]) : .nan).bitPattern)
            }
            if isThere { candidate += 1 }
            guard bytes.count > 1 << 20 || number == documents - 1 else { continue }
            try file.write(bytes, at: offset)
            offset += bytes.count
            bytes.removeAll(keepingCapacity: true)
        }
    }
}
