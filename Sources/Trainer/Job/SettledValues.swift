internal import Formats

/// Where the value of a parameter came from.
public enum ValueOrigin: String, Codable, Sendable, CaseIterable {
    /// It was typed, or stands in a recipe, and is other than the default.
    case given
    /// The stage has it as its own, or keeps it from the stage before.
    case stage
    /// Nothing else was asked for.
    case `default`
    /// The model's files.
    case model
    /// What the texts or rows hold.
    case data
    /// A rule over other values.
    case rule
    /// What a run that goes on began with.
    case checkpoint
}

/// What a job has left open, as it was decided: each value is noted where the decision is made, so that whoever explains
/// it need not decide it again.
struct SettledValues: Sendable, Equatable {
    /// A value that was decided.
    struct Entry: Sendable, Equatable {
        /// The value; null where only missing files would tell it, or there is none.
        var value: JSON
        /// What decided it.
        var origin: ValueOrigin
        /// Why it is so, in words.
        var reason: String
    }

    /// What was decided, by the parameters' names.
    private(set) var entries: [String: Entry] = [:]

    /// What was given for a parameter, else what is decided for it, which is noted.
    ///
    /// - Parameters:
    ///   - name: the parameter.
    ///   - given: what the job has for it; nil where that leaves it open.
    ///   - value: what it is then.
    ///   - origin: what decides that.
    ///   - reason: why.
    /// - Returns: the value that counts.
    mutating func settle<Value: Encodable>(
        _ name: String, _ given: Value?, else value: Value, _ origin: ValueOrigin, _ reason: String
    ) -> Value {
        if let given { return given }
        note(name, value, origin, reason)
        return value
    }

    /// Notes a value that counts whatever was given.
    mutating func note(_ name: String, _ value: some Encodable, _ origin: ValueOrigin, _ reason: String) {
        entries[name] = Entry(
            value: (try? JSON(encoding: value)) ?? .null, origin: origin, reason: reason)
    }

    /// Notes that nothing tells a value yet.
    mutating func leaveOpen(_ name: String, _ origin: ValueOrigin, _ reason: String) {
        entries[name] = Entry(value: .null, origin: origin, reason: reason)
    }
}
