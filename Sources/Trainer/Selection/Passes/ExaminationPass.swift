internal import Formats

/// The pass that looks at every document by itself: cleaning, rules, evaluations, and what it is compared by.
struct ExaminationPass {
    let run: SelectionRun
    let cleaner: TextCleaner
    let contamination: Contamination?
    let languages: LanguageIdentifier?

    /// Writes a file a part: see ``SelectionPartWriter``.
    func carryOut() throws(UserFacingError) {
        let minHash = MinHash()
        try run.forEachPart(.documents) { part throws(UserFacingError) in
            let path = run.places.part(part)
            guard !FileSystem.exists(path) else { return }
            let writer = try SelectionPartWriter(path: path)
            var examiner = DocumentExaminer(run.settings, cleaner, contamination, languages, minHash)
            var (figures, findings) = (PartFigures(), TextFindings())
            let lines = try run.forEachDocument(of: part, noting: &findings) {
                document throws(UserFacingError) in
                let found = examiner.examine(document, key: SelectionRun.key(part, document.index))
                figures.textBytes += document.text.count
                if found.isChanged { figures.changed += 1 }
                if let languages, let number = found.language {
                    figures.languages[LanguageIdentifier.name(of: number, in: languages.names), default: 0] +=
                        1
                }
                let (batch, place) = (document.batch, document.place)
                let length = found.code == 0 ? batch.record(place, text: found.text).count : 0
                try writer.append(found, line: batch.line(of: place) - 1, length: length)
            }
            (figures.lines, figures.findings) = (lines, findings)
            figures.cleaned = examiner.counts
            try writer.finish(figures)
        }
    }
}
