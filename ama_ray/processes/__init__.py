"""What may misbehave, in processes of its own: functions of the user, verifiers, programs that a model wrote."""
