internal import Formats

/// The pass that makes text of triples, before all others: a file of lines for each file of triples and each wording.
struct TriplesPass {
    let settings: SelectionSettings
    let text: TripleText
    let templates: TripleTemplates
    let threads: Int
    let places: SelectionPlaces
    let work: SelectionWork

    /// What was written.
    struct Written: Sendable {
        /// The files.
        var paths: [String] = []
        /// What each is called: as the triples' file, with `@2` for the second wording, and so on.
        var names: [String] = []
        var figures = TripleFigures()
    }

    /// Writes the files; those that are there are whole.
    ///
    /// - Throws: ``UserFacingError`` when a line can't be used, something can't be read or written, or it was stopped.
    func carryOut() throws(UserFacingError) -> Written {
        let wordings = text.wordings(of: templates)
        let jobs = text.files.indices.flatMap { file in (0..<wordings).map { (file: file, wording: $0) } }
        let figures = try work.map(.triples, jobs.count, threads: threads) { index throws(UserFacingError) in
            try write(jobs[index].file, jobs[index].wording)
        }
        var written = Written()
        for (job, own) in zip(jobs, figures) {
            written.paths.append(places.triples(job.file, job.wording))
            written.names.append(text.files[job.file] + (job.wording > 0 ? "@\(job.wording + 1)" : ""))
            written.figures.add(own)
        }
        return written
    }

    private func write(_ file: Int, _ wording: Int) throws(UserFacingError) -> TripleFigures {
        let path = places.triples(file, wording)
        let figuresPath = path + ".figures"
        if FileSystem.exists(path),
            let figures = try? JSON.read(path: figuresPath).decoded(as: TripleFigures.self)
        {
            return figures
        }
        let output = try AtomicFile(path: path)
        var offset = 0
        var writer = TripleWriter(
            templates, textKey: settings.reading.textKey, wording: wording, seed: settings.seed,
            skipsBadLines: settings.reading.skipsBadLines)
        func flush() throws(UserFacingError) {
            let bytes = writer.take()
            try output.write(bytes, at: offset)
            offset += bytes.count
        }
        let source = text.files[file]
        try NamedFields.forEach(in: source, Triple.fields) { line, fields throws(UserFacingError) in
            try work.check()
            try writer.add(fields, line: line, path: source)
            if writer.bytes.count > 1 << 20 { try flush() }
        }
        writer.finish()
        try flush()
        // Numbers and a text, which any encoder takes.
        let figures = (try? JSON(encoding: writer.figures)) ?? .null
        try AtomicFile(path: figuresPath).publish(figures.serialized())
        try output.publish()
        work.advance(try InputFile(path: source).size)
        return writer.figures
    }
}
