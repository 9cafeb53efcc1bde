internal import Glibc

/// The files of text that arguments name: files, folders, patterns, pipes, and `-` for standard input.
package struct TextPaths: Sendable {
    /// The files, in the order in which they are read; in a folder numbers count by their value.
    package private(set) var paths: [String] = []
    /// What was passed over on the way.
    package private(set) var findings = TextFindings()
    private var seen: Set<FileIdentity> = []

    /// Finds the files.
    ///
    /// - Throws: ``UserFacingError`` when an argument leads to none.
    package init(_ arguments: [String]) throws(UserFacingError) {
        for argument in arguments { try add(argument) }
    }

    private mutating func add(_ argument: String) throws(UserFacingError) {
        switch argument == "-" ? .other : FileSystem.kind(of: argument) {
        case .file: take(argument)
        case .other: paths.append(argument)
        case .folder:
            guard !Self.isModel(argument) else { throw .modelInPlaceOfText(path: argument) }
            var found: [String] = []
            var visited: Set<FileIdentity> = []
            try Self.list(argument, into: &found, &visited)
            try take(found, of: argument)
        case nil:
            guard Self.isPattern(argument) else { throw .file(.open, argument, code: ENOENT) }
            var found: [String] = []
            for path in try Self.matches(of: argument) {
                var visited: Set<FileIdentity> = []
                if FileSystem.kind(of: path) == .folder {
                    try Self.list(path, into: &found, &visited)
                } else {
                    found.append(path)
                }
            }
            try take(found, of: argument)
        }
    }

    /// Takes what is text of the files that a folder or a pattern has.
    private mutating func take(_ found: [String], of argument: String) throws(UserFacingError) {
        let texts = found.filter { TextFile.kind(ofName: $0) != nil }
        let others = found.filter { TextFile.kind(ofName: $0) == nil }
        guard !texts.isEmpty else {
            // What the only file of a folder is says more than that it is none.
            if let first = others.first, ["csv", "tsv", "arrow"].contains(Path.suffix(first)) {
                _ = try TextFile(path: first)
            }
            throw .noFiles(argument: argument, passedOver: others)
        }
        for path in texts { take(path) }
        findings.passedOver += others
    }

    /// Takes a file, once however often it is named.
    private mutating func take(_ path: String) {
        if let identity = FileIdentity(path: path), !seen.insert(identity).inserted {
            findings.repeated.append(path)
        } else {
            paths.append(path)
        }
    }

    /// Whether a folder is a model's, which is easily typed behind an option that takes files.
    package static func isModel(_ folder: String) -> Bool {
        FileSystem.kind(of: Path.join(folder, "config.json")) == .file
            && (FileSystem.kind(of: Path.join(folder, "tokenizer.json")) == .file
                || (try? FileSystem.names(folder))?.contains {
                    $0.hasSuffix(".safetensors") || $0.hasSuffix(".h5")
                } == true)
    }

    // MARK: Outputs

    /// Refuses an output in whose place one of the files stands that are read, by whatever path or link.
    ///
    /// - Parameters:
    ///   - output: where something is to be written.
    ///   - sources: files, folders or patterns; of a model all that makes it one.
    /// - Throws: ``UserFacingError`` that names the output.
    package static func check(_ output: String, apartFrom sources: [String]) throws(UserFacingError) {
        guard let there = FileIdentity(path: output) else { return }
        guard !files(of: sources).contains(where: { FileIdentity(path: $0) == there }) else {
            throw .outputIsSource(path: output)
        }
    }

    /// The first of what is read that is a folder, or lies in it, by whatever path or link.
    ///
    /// - Parameters:
    ///   - folder: what is to be replaced.
    ///   - sources: files and folders, as ``files(of:)`` makes them of patterns.
    /// - Returns: the file or folder; nil for none.
    package static func source(in folder: String, among sources: [String]) -> String? {
        let place = place(of: folder)
        return sources.first { source in
            // A link is as much the source as what it leads to.
            let link = FileSystem.resolved(Path.parent(Path.absolute(source))).map {
                Path.join($0, Path.name(Path.absolute(source)))
            }
            return [link, FileSystem.resolved(source)].compactMap(\.self).contains {
                Path.isInside($0, place)
            }
        }
    }

    /// Where a folder is, or would be, links followed.
    static func place(of folder: String) -> String {
        let absolute = Path.absolute(folder)
        let parent = Path.parent(absolute)
        return FileSystem.resolved(folder)
            ?? Path.join(FileSystem.resolved(parent) ?? parent, Path.name(absolute))
    }

    /// The files of text that arguments lead to; what is no text, such as packed tokens, as it is named, and of a model or a
    /// tokenizer its files as well.
    package static func files(of arguments: [String]) -> [String] {
        arguments.filter { $0 != "-" }.flatMap { argument in
            isModel(argument) || FileSystem.exists(Path.join(argument, "tokenizer.json"))
                ? [argument] + modelFiles(in: argument) : (try? TextPaths([argument]))?.paths ?? [argument]
        }
    }

    private static func modelFiles(in folder: String) -> [String] {
        ((try? FileSystem.names(folder)) ?? []).filter { name in
            name == Configuration.fileName || name == Manifest.fileName || TokenizerFiles.isName(name)
                || FileSelection.isWeights(name)
        }.map { Path.join(folder, $0) }
    }

    /// The first file that two arguments both lead to, by whatever path or link; nil for none.
    ///
    /// A copy is another file.
    package static func shared(by one: String, and other: String) -> String? {
        let identities = Set(files(of: [other]).compactMap { FileIdentity(path: $0) })
        return files(of: [one]).first { FileIdentity(path: $0).map(identities.contains) ?? false }
    }

    /// Whether a path is no file that could be read twice.
    package static func isPipe(_ path: String) -> Bool { TextFile.isPipe(path) }

    /// Whether a file would be among those that an argument leads to, or in a folder of which that reads all.
    package static func covers(_ argument: String, _ path: String) -> Bool {
        if FileSystem.kind(of: argument) == .folder {
            guard let folder = FileSystem.resolved(argument),
                let place = FileSystem.resolved(Path.parent(Path.absolute(path)))
            else { return false }
            return place == folder || place.hasPrefix(folder + "/")
        }
        guard FileSystem.kind(of: argument) == nil, isPattern(argument) else { return false }
        return unsafe fnmatch(
            Path.absolute(argument), Path.absolute(path), FNM_PATHNAME | FNM_PERIOD | FNM_NOESCAPE) == 0
    }

    // MARK: Folders

    /// Adds the files in a folder and all folders in it, links followed, hidden ones left out.
    private static func list(
        _ folder: String, into found: inout [String], _ visited: inout Set<FileIdentity>
    ) throws(UserFacingError) {
        guard let identity = FileIdentity(path: folder), visited.insert(identity).inserted else { return }
        for name in try FileSystem.names(folder).sorted(by: NaturalOrder.precedes) where !name.hasPrefix(".")
        {
            let path = Path.join(folder, name)
            switch FileSystem.kind(of: path) {
            case .folder: try list(path, into: &found, &visited)
            case .file: found.append(path)
            // A link that leads nowhere is named, not passed over.
            case nil: throw .file(.open, path, code: ENOENT)
            case .other: continue
            }
        }
    }

    // MARK: Patterns

    /// Whether an argument that names no file is a pattern.
    package static func isPattern(_ argument: String) -> Bool { argument.contains { "*?[".contains($0) } }

    /// The files and folders that a pattern matches: `*`, `?` and `[…]` inside a name, `**` for any folders.
    private static func matches(of pattern: String) throws(UserFacingError) -> [String] {
        var found = [pattern.hasPrefix("/") ? "/" : ""]
        for part in pattern.split(separator: "/") {
            var next: [String] = []
            for folder in found {
                if part == "**" {
                    var visited: Set<FileIdentity> = []
                    next += try folders(folder, &visited)
                } else if !isPattern(String(part)) {
                    let path = joined(folder, String(part))
                    if FileSystem.kind(of: path) != nil { next.append(path) }
                } else if FileSystem.kind(of: folder.isEmpty ? "." : folder) == .folder {
                    for name in try FileSystem.names(folder.isEmpty ? "." : folder).sorted(
                        by: NaturalOrder.precedes)
                    where unsafe fnmatch(String(part), name, FNM_PERIOD | FNM_NOESCAPE) == 0 {
                        next.append(joined(folder, name))
                    }
                }
            }
            found = next
        }
        return found
    }

    private static func folders(
        _ folder: String, _ visited: inout Set<FileIdentity>
    ) throws(UserFacingError) -> [String] {
        let place = folder.isEmpty ? "." : folder
        guard FileSystem.kind(of: place) == .folder, let identity = FileIdentity(path: place),
            visited.insert(identity).inserted
        else { return [] }
        var found = [folder]
        for name in try FileSystem.names(place).sorted(by: NaturalOrder.precedes) where !name.hasPrefix(".") {
            found += try folders(joined(folder, name), &visited)
        }
        return found
    }

    private static func joined(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : Path.join(folder, name)
    }
}
