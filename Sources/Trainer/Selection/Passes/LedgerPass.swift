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
        let file = try AtomicFile(path: places.ledger)
        // The header's size depends on where parts begin, so parts are gone through once more before the records.
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            while try reader.next() != nil {}
            let number = parts.fileNumber(of: part)
            if number != lastFile { (firstLine, lastFile) = (1, number) }
            ledgerParts.append(
                SelectionLedger.Part(file: number, firstDocument: clusters.starts[part], firstLine: firstLine)
            )
            guard let figures = reader.figures else { throw .brokenPart(path: places.part(part)) }
            firstLine += figures.lines
            report.figures.add(figures)
            for run in reader.runs where found.indices.contains(Int(run)) { found[Int(run)] = true }
        }
        report.figures.findings.add(parts.findings)
        let head = SelectionLedger.head(
            settings, files: parts.files.map(\.path), parts: ledgerParts,
            documents: clusters.starts.last ?? 0, tool: tool, measures: choice.map { _ in measureNames },
            groups: choice?.groupNames ?? [])
        try file.write(head, at: 0)
        var (written, offsets) = (head.count, [0])
        var (candidate, firstUndated) = (0, nil as Int?)
        let undated = [settings.code(of: .undated), settings.code(of: .unreadableDate)]
        let (duplicate, near) = (settings.code(of: .duplicate), settings.code(of: .nearDuplicate))
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            var (number, length) = (clusters.starts[part], 0)
            while let block = try reader.next() {
                var bytes: [UInt8] = []
                for document in block.documents {
                    var entry = SelectionLedger.Entry(
                        code: document.code, detail: document.detail, score: document.score,
                        equal: SelectionLedger.noDocument, line: document.line)
                    if entry.code == 0, let first = clusters.duplicate(of: number) {
                        (entry.code, entry.score, entry.equal) = (duplicate, 1, UInt32(first))
                    } else if entry.code == 0, case let first = clusters.root(number), first != number {
                        (entry.code, entry.equal) = (near, UInt32(first))
                        entry.score = Float(clusters.hits[number]) / Float(MinHash.bands)
                    } else if entry.code == 0, let choice {
                        if !choice.isChosen[candidate] { entry.code = settings.code(of: .notChosen) }
                        candidate += 1
                    }
                    if firstUndated == nil, undated.contains(entry.code) { firstUndated = number }
                    report.count(
                        entry, bytes: document.length, contaminationCode: settings.code(of: .contamination))
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
        let ledger = try SelectionLedger(path: places.ledger)
        if let choice, firstUndated == nil, let index = choice.days.firstIndex(where: { !$0.isFinite }) {
            firstUndated = Int(choice.numbers[index])
        }
        if let firstUndated {
            let fate = try ledger.fate(of: firstUndated)
            report.undated = "\(fate.file), line \(fate.line)"
        }
        return SelectionPlan(ledger: ledger, starts: clusters.starts, offsets: offsets, report: report)
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
