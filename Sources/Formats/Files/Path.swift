internal import Glibc

/// What can be told of a path without looking at the disk.
package enum Path {
    /// The part after the last slash, as in `model.safetensors`.
    package static func name(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? "/"
    }

    /// The folder that holds `path`.
    package static func parent(_ path: String) -> String {
        var parts = path.split(separator: "/", omittingEmptySubsequences: true)
        if !parts.isEmpty { parts.removeLast() }
        let joined = parts.joined(separator: "/")
        if path.hasPrefix("/") { return "/" + joined }
        return joined.isEmpty ? "." : joined
    }

    /// The paths on the way to `path`, as `a` and `a/b` on that to `a/b/c`.
    static func ancestors(of path: String) -> [String] {
        zip(path.indices, path).compactMap { $1 == "/" ? String(path[..<$0]) : nil }
    }

    /// `name` inside `folder`.
    package static func join(_ folder: String, _ name: String) -> String {
        folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// What follows the last dot of the name, in lower case; empty when there is none.
    package static func suffix(_ path: String) -> String {
        let parts = name(path).split(separator: ".", omittingEmptySubsequences: false)
        return parts.count > 1 ? (parts.last ?? "").lowercased() : ""
    }

    /// The path from the root on, without `.`, `..` and doubled slashes; links stay.
    package static func absolute(_ path: String) -> String {
        let whole = path.hasPrefix("/") ? path : join(currentFolder, path)
        var parts: [Substring] = []
        for part in whole.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// Whether one path from the root on is another, or lies below it.
    package static func isInside(_ path: String, _ folder: String) -> Bool {
        path == folder || path.hasPrefix(folder == "/" ? folder : folder + "/")
    }

    /// How to reach `path` from `folder`, as in `../base`.
    static func relative(_ path: String, from folder: String) -> String {
        let target = absolute(path).split(separator: "/")
        let base = absolute(folder).split(separator: "/")
        var shared = 0
        while shared < target.count, shared < base.count, target[shared] == base[shared] { shared += 1 }
        let steps = Array(repeating: "..", count: base.count - shared) + target[shared...].map(String.init)
        return steps.isEmpty ? "." : steps.joined(separator: "/")
    }

    private static var currentFolder: String {
        guard let buffer = unsafe getcwd(nil, 0) else { return "/" }
        defer { unsafe free(buffer) }
        return unsafe String(cString: buffer)
    }
}
