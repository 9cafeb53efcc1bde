internal import Glibc

/// Models of the Hugging Face hub that lie in this machine's cache; nothing is ever fetched.
///
/// The layout is huggingface_hub's: `models--ORG--NAME/refs/main` names a snapshot, `snapshots/HASH` is the model's folder
/// (<https://huggingface.co/docs/huggingface_hub/guides/manage-cache>).
package enum HubCache {
    /// Where the cache is: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `huggingface` of the user's cache folder.
    private static var root: String? {
        if let root = variable("HF_HUB_CACHE") { return root }
        if let home = variable("HF_HOME") { return Path.join(home, "hub") }
        let cache = variable("XDG_CACHE_HOME") ?? variable("HOME").map { Path.join($0, ".cache") }
        return cache.map { Path.join($0, "huggingface/hub") }
    }

    private static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// Whether a text could be a model's name on the hub, `ORG/NAME` or `NAME`, with `@REVISION` behind it or not.
    private static func parts(_ text: String) -> (name: String, revision: String)? {
        let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        let words = halves[0].split(separator: "/", omittingEmptySubsequences: false)
        let isName =
            (1...2).contains(words.count)
            && words.allSatisfy { word in
                word.first.map { $0.isLetter || $0.isNumber } == true
                    && word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
            }
        let revision = halves.count == 2 ? halves[1] : "main"
        guard isName, !revision.isEmpty, !revision.contains("..") else { return nil }
        return (halves[0], revision)
    }

    /// The folder of a model: the path itself where something stands there, else the cached model of that name.
    ///
    /// - Parameter typed: a path, or a name on the hub.
    /// - Returns: the path to open; `typed` itself when neither is there.
    /// - Throws: ``UserFacingError`` when the model is in the cache, but not which of its snapshots is meant.
    package static func path(of typed: String) throws(UserFacingError) -> String {
        if FileSystem.exists(typed) { return typed }
        guard let (name, revision) = parts(typed), let root else { return typed }
        let folder = Path.join(root, "models--" + name.split(separator: "/").joined(separator: "--"))
        guard FileSystem.kind(of: folder) == .folder else { return typed }
        let snapshots = Path.join(folder, "snapshots")
        let reference = Path.join(folder, "refs/" + revision)
        var hash = revision
        if FileSystem.kind(of: reference) == .file {
            let text = String(decoding: try InputFile(path: reference).bytes(), as: UTF8.self)
            hash = text.filter { !$0.isWhitespace }
        }
        let snapshot = Path.join(snapshots, hash)
        guard !hash.isEmpty, !hash.contains("/"), FileSystem.kind(of: snapshot) == .folder else {
            let known = (try? FileSystem.names(snapshots)) ?? []
            throw .noSnapshot(name, revision, folder: folder, known: known)
        }
        return snapshot
    }

    /// Whether a model was named as it is on the hub, and lies in the cache.
    package static func isName(_ typed: String) -> Bool {
        (try? path(of: typed)).map { $0 != typed } ?? false
    }
}

extension UserFacingError {
    fileprivate static func noSnapshot(
        _ name: String, _ revision: String, folder: String, known: [String]
    ) -> Self {
        Self(
            .missing,
            "\(name) is in the cache (\(folder)), but not its revision '\(revision)'"
                + (known.isEmpty
                    ? "; download it"
                    : "; there are \(known.joined(separator: ", ")): name one as \(name)@\(known[0])"))
    }
}
