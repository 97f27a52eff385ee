import hashlib
import hmac

SECRET = b"a secret of the tests"


def hashed(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def token_of(user_id: int) -> str:
    return f"{user_id}.{hmac.digest(SECRET, str(user_id).encode(), 'sha256').hex()}"


def user_id_of(token: str) -> int | None:
    number, _, _ = token.partition(".")
    is_valid = (
        number.isdecimal() and len(number) < 10 and hmac.compare_digest(token.encode(), token_of(int(number)).encode())
    )
    return int(number) if is_valid else None
